-- PostgreSQL can store times that the program cannot read and RFC 3339 cannot write ('infinity', a year with five digits), and intervals that
-- cannot be added to a time. One such row, written by hand, would cost everybody in its batch their answer.

-- Not valid at first: from here on nobody writes such a row. This takes a moment, however large the tables are, and it must, because nobody
-- else can read them meanwhile. The next two migrations repair the rows that there are and look at every row, while everybody goes on.
alter table users
    add constraint users_times_in_range check (
        least(created_at, updated_at, disabled_at) >= '0001-01-01 00:00:00+00'
            and greatest(created_at, updated_at, disabled_at) < '10000-01-01 00:00:00+00'
    ) not valid;
alter table login_failures
    add constraint login_failures_times_in_range check (
        least(updated_at, locked_until) >= '0001-01-01 00:00:00+00'
            and greatest(updated_at, locked_until) < '10000-01-01 00:00:00+00'
    ) not valid;
alter table sessions
    add constraint sessions_times_in_range check (
        least(created_at, last_activity, expires_at, ends_at) >= '0001-01-01 00:00:00+00'
            and greatest(created_at, last_activity, expires_at, ends_at) < '10000-01-01 00:00:00+00'
    ) not valid,
    add constraint sessions_idle_timeout_in_range check (idle_timeout between '0' and '100 years') not valid;
alter table ended_sessions
    add constraint ended_sessions_times_in_range check (
        least(created_at, last_activity, expires_at, ended_at) >= '0001-01-01 00:00:00+00'
            and greatest(created_at, last_activity, expires_at, ended_at) < '10000-01-01 00:00:00+00'
    ) not valid;
alter table one_time_links
    add constraint one_time_links_times_in_range check (
        least(created_at, expires_at) >= '0001-01-01 00:00:00+00'
            and greatest(created_at, expires_at) < '10000-01-01 00:00:00+00'
    ) not valid;
alter table mails
    add constraint mails_times_in_range check (
        least(happened_at, due_at, created_at) >= '0001-01-01 00:00:00+00'
            and greatest(happened_at, due_at, created_at) < '10000-01-01 00:00:00+00'
    ) not valid;
alter table mail_requests
    add constraint mail_requests_times_in_range check (
        since >= '0001-01-01 00:00:00+00' and since < '10000-01-01 00:00:00+00'
    ) not valid;
alter table known_origins
    add constraint known_origins_times_in_range check (
        least(last_seen, told_at) >= '0001-01-01 00:00:00+00'
            and greatest(last_seen, told_at) < '10000-01-01 00:00:00+00'
    ) not valid;
alter table service_clients
    add constraint service_clients_times_in_range check (
        created_at >= '0001-01-01 00:00:00+00' and created_at < '10000-01-01 00:00:00+00'
    ) not valid;
alter table validation_lease
    add constraint validation_lease_previous_range check (previous between '0' and '2s') not valid;
