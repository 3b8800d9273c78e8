-- When a session ends if nothing happens: as its row says, or earlier where the limits of who asks are stricter. The one definition by
-- which it is judged whether a session lives, in every statement.

create function session_ends_at(
    expires_at timestamptz,
    last_activity timestamptz,
    created_at timestamptz,
    idle_timeout interval,
    max_lifetime interval
) returns timestamptz
    language sql stable parallel safe
    as $$ select least(expires_at, last_activity + idle_timeout, created_at + max_lifetime) $$;
