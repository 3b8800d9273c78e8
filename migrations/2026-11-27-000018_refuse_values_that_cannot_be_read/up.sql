-- PostgreSQL can store times that the program cannot read and RFC 3339 cannot write ('infinity', a year with five digits), and intervals that
-- cannot be added to a time. One such row, written by hand, would cost everybody in its batch their answer.

-- Not valid at first: from here on nobody writes such a row, and those that there are can be repaired.
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

-- What lies before is moved to the bound, and what lies after it to this moment. So a session or a link with such a time is over, and an
-- address that was locked for ever is locked until the bound. The lease comes first: the triggers of the feed wait for it.
update validation_lease set previous = '2s' where previous not between '0' and '2s';
update users set
    created_at = least(greatest(created_at, '0001-01-01 00:00:00+00'), now()),
    updated_at = least(greatest(updated_at, '0001-01-01 00:00:00+00'), now()),
    disabled_at = case when disabled_at is not null then least(greatest(disabled_at, '0001-01-01 00:00:00+00'), now()) end
    where least(created_at, updated_at, disabled_at) < '0001-01-01 00:00:00+00'
        or greatest(created_at, updated_at, disabled_at) >= '10000-01-01 00:00:00+00';
update login_failures set
    updated_at = least(greatest(updated_at, '0001-01-01 00:00:00+00'), now()),
    locked_until = case when locked_until is not null
        then least(greatest(locked_until, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00') end
    where least(updated_at, locked_until) < '0001-01-01 00:00:00+00'
        or greatest(updated_at, locked_until) >= '10000-01-01 00:00:00+00';
update sessions set
    created_at = least(greatest(created_at, '0001-01-01 00:00:00+00'), now()),
    last_activity = least(greatest(last_activity, '0001-01-01 00:00:00+00'), now()),
    expires_at = least(greatest(expires_at, '0001-01-01 00:00:00+00'), now()),
    ends_at = null,
    idle_timeout = null
    where least(created_at, last_activity, expires_at, ends_at) < '0001-01-01 00:00:00+00'
        or greatest(created_at, last_activity, expires_at, ends_at) >= '10000-01-01 00:00:00+00'
        or idle_timeout not between '0' and '100 years';
update ended_sessions set
    created_at = least(greatest(created_at, '0001-01-01 00:00:00+00'), now()),
    last_activity = least(greatest(last_activity, '0001-01-01 00:00:00+00'), now()),
    expires_at = least(greatest(expires_at, '0001-01-01 00:00:00+00'), now()),
    ended_at = least(greatest(ended_at, '0001-01-01 00:00:00+00'), now())
    where least(created_at, last_activity, expires_at, ended_at) < '0001-01-01 00:00:00+00'
        or greatest(created_at, last_activity, expires_at, ended_at) >= '10000-01-01 00:00:00+00';
update one_time_links set
    created_at = least(greatest(created_at, '0001-01-01 00:00:00+00'), now()),
    expires_at = least(greatest(expires_at, '0001-01-01 00:00:00+00'), now())
    where least(created_at, expires_at) < '0001-01-01 00:00:00+00'
        or greatest(created_at, expires_at) >= '10000-01-01 00:00:00+00';
update mails set
    happened_at = least(greatest(happened_at, '0001-01-01 00:00:00+00'), now()),
    due_at = least(greatest(due_at, '0001-01-01 00:00:00+00'), now()),
    created_at = least(greatest(created_at, '0001-01-01 00:00:00+00'), now())
    where least(happened_at, due_at, created_at) < '0001-01-01 00:00:00+00'
        or greatest(happened_at, due_at, created_at) >= '10000-01-01 00:00:00+00';
update mail_requests set since = least(greatest(since, '0001-01-01 00:00:00+00'), now())
    where since < '0001-01-01 00:00:00+00' or since >= '10000-01-01 00:00:00+00';
update known_origins set
    last_seen = least(greatest(last_seen, '0001-01-01 00:00:00+00'), now()),
    told_at = case when told_at is not null then least(greatest(told_at, '0001-01-01 00:00:00+00'), now()) end
    where least(last_seen, told_at) < '0001-01-01 00:00:00+00'
        or greatest(last_seen, told_at) >= '10000-01-01 00:00:00+00';
update service_clients set created_at = least(greatest(created_at, '0001-01-01 00:00:00+00'), now())
    where created_at < '0001-01-01 00:00:00+00' or created_at >= '10000-01-01 00:00:00+00';

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
