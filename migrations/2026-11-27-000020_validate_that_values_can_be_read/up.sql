-- Looks at every row once, while others read and write. Only the lease is locked more strictly than that (no instance answers from memory
-- meanwhile), so it comes last.
alter table users validate constraint users_times_in_range;
alter table login_failures validate constraint login_failures_times_in_range;
alter table sessions
    validate constraint sessions_times_in_range,
    validate constraint sessions_idle_timeout_in_range;
alter table ended_sessions validate constraint ended_sessions_times_in_range;
alter table one_time_links validate constraint one_time_links_times_in_range;
alter table mails validate constraint mails_times_in_range;
alter table mail_requests validate constraint mail_requests_times_in_range;
alter table known_origins validate constraint known_origins_times_in_range;
alter table service_clients validate constraint service_clients_times_in_range;
alter table validation_lease validate constraint validation_lease_previous_range;
