alter table users drop constraint users_times_in_range;
alter table login_failures drop constraint login_failures_times_in_range;
alter table sessions
    drop constraint sessions_times_in_range,
    drop constraint sessions_idle_timeout_in_range;
alter table ended_sessions drop constraint ended_sessions_times_in_range;
alter table one_time_links drop constraint one_time_links_times_in_range;
alter table mails drop constraint mails_times_in_range;
alter table mail_requests drop constraint mail_requests_times_in_range;
alter table known_origins drop constraint known_origins_times_in_range;
alter table service_clients drop constraint service_clients_times_in_range;
alter table validation_lease drop constraint validation_lease_previous_range;
