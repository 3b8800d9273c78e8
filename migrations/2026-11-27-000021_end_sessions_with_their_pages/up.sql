-- A page holds its token in memory alone, so a session that a page signed in to ends with the page. Mostly the page says so when it is
-- left. What follows is for pages that cannot: docs/decisions/0014 has the argument.
--
-- The trigger of the feed compares none of these columns: no mark wakes anybody.
alter table sessions
    add column ends_with_page boolean not null default false,
    -- The event stream that the page opened last.
    add column page_stream uuid,
    -- When the other side closed that stream, or the sign-in if there was none yet. Null: the page has a stream, or nothing says that it
    -- is gone.
    add column page_lost_at timestamptz,
    -- When the page was heard last, as far as that was written down.
    add column page_heard_at timestamptz,
    add constraint sessions_page_times_in_range check (
        least(page_lost_at, page_heard_at) >= '0001-01-01 00:00:00+00'
            and greatest(page_lost_at, page_heard_at) < '10000-01-01 00:00:00+00'
    );

-- Pages that may be gone: few at a time.
create index sessions_page_lost_at_idx on sessions (page_lost_at) where page_lost_at is not null;
