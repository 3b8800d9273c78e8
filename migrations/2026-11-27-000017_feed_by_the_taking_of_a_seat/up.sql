-- The taking of a seat adds its user to the feed by itself, in the statement that deletes the one session and opens the other: two
-- triggers would take a quarter of the time that a sign-in takes here. It says so by `oneseat.names_its_user`.
drop trigger sessions_feed_insert on sessions;
drop trigger sessions_feed_delete on sessions;
create trigger sessions_feed_insert after insert on sessions
    referencing new table as new_rows for each statement
    when (current_setting('oneseat.names_its_user', true) is distinct from 'on')
    execute function sessions_feed();
create trigger sessions_feed_delete after delete on sessions
    referencing old table as old_rows for each statement
    when (current_setting('oneseat.names_its_user', true) is distinct from 'on')
    execute function sessions_feed();
alter table sessions enable always trigger sessions_feed_insert;
alter table sessions enable always trigger sessions_feed_delete;

-- The name of the server changes with the tables, too: a table that was put back alone has brought rows and triggers that told nobody.
create or replace function feed_server() returns text
    language sql stable
    as $$
        select concat_ws(' ', epoch, extract(epoch from pg_postmaster_start_time()), 'feed_epoch'::regclass::oid, 'sessions'::regclass::oid,
                'users'::regclass::oid)
            from feed_epoch where is_only
    $$;

-- The epoch is in no dump, so none brings an earlier one back (docs/decisions/0010 has the trick).
create function new_epoch(boolean) returns uuid
    language plpgsql immutable
    as $$
begin
    return pg_catalog.gen_random_uuid();
end
$$;
alter table feed_epoch
    drop column epoch,
    add column epoch uuid not null generated always as (new_epoch(is_only)) stored;
