drop index users_created_at_idx;
drop table known_origins;
drop table mail_requests;
drop table mails;
drop table one_time_links;
