-- Repairs the rows that the constraints of the migration before would refuse. What lies before the bounds is moved to the bound, and what
-- lies after them to this moment. So a link with such a time is over, and an address that was locked for ever is locked until the bound.
update login_failures set
    updated_at = least(greatest(updated_at, '0001-01-01 00:00:00+00'), now()),
    locked_until = case when locked_until is not null
        then least(greatest(locked_until, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00') end
    where least(updated_at, locked_until) < '0001-01-01 00:00:00+00'
        or greatest(updated_at, locked_until) >= '10000-01-01 00:00:00+00';
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

-- The lease comes before users and sessions: the triggers of the feed on those two wait for it. It comes no earlier, because from here to
-- the commit no instance answers from memory.
update validation_lease set previous = '2s' where previous not between '0' and '2s';
update users set
    created_at = least(greatest(created_at, '0001-01-01 00:00:00+00'), now()),
    updated_at = least(greatest(updated_at, '0001-01-01 00:00:00+00'), now()),
    disabled_at = case when disabled_at is not null then least(greatest(disabled_at, '0001-01-01 00:00:00+00'), now()) end
    where least(created_at, updated_at, disabled_at) < '0001-01-01 00:00:00+00'
        or greatest(created_at, updated_at, disabled_at) >= '10000-01-01 00:00:00+00';
-- Whichever value was bad, the session is over: `expires_at` is never after this moment.
update sessions set
    created_at = least(greatest(created_at, '0001-01-01 00:00:00+00'), now()),
    last_activity = least(greatest(last_activity, '0001-01-01 00:00:00+00'), now()),
    expires_at = least(greatest(expires_at, '0001-01-01 00:00:00+00'), now()),
    ends_at = null,
    idle_timeout = null
    where least(created_at, last_activity, expires_at, ends_at) < '0001-01-01 00:00:00+00'
        or greatest(created_at, last_activity, expires_at, ends_at) >= '10000-01-01 00:00:00+00'
        or idle_timeout not between '0' and '100 years';
