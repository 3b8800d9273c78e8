alter table feed_epoch
    drop column epoch,
    add column epoch uuid not null default gen_random_uuid();
drop function new_epoch(boolean);
create or replace function feed_server() returns text
    language sql stable
    as $$
        select concat_ws(' ', epoch, extract(epoch from pg_postmaster_start_time()), 'feed_epoch'::regclass::oid)
            from feed_epoch where is_only
    $$;
drop trigger sessions_feed_insert on sessions;
drop trigger sessions_feed_delete on sessions;
create trigger sessions_feed_insert after insert on sessions
    referencing new table as new_rows for each statement execute function sessions_feed();
create trigger sessions_feed_delete after delete on sessions
    referencing old table as old_rows for each statement execute function sessions_feed();
alter table sessions enable always trigger sessions_feed_insert;
alter table sessions enable always trigger sessions_feed_delete;
