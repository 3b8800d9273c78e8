-- The limits under which a session was opened. Stricter ones bind it at once; looser ones do not lengthen what was promised.
-- Null for a session that an earlier version opened: it has today's limits alone.

alter table sessions
    add column idle_timeout interval,
    add column ends_at timestamptz;
