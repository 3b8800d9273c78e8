drop index if exists users_search_idx;
drop index sessions_ip_address_idx;
drop index sessions_last_activity_idx;
drop table ended_sessions;
