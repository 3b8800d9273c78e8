drop index if exists users_search_idx;
drop index users_email_digest_idx;
drop function email_digest;
drop index sessions_ip_address_idx;
drop index sessions_last_activity_idx;
drop table ended_sessions;
