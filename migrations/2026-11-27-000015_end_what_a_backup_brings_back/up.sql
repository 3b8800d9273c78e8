-- A session that a backup brings back is over: it may have ended since. docs/decisions/0010 has the argument.

alter table ended_sessions
    drop constraint ended_sessions_reason_known,
    add constraint ended_sessions_reason_known check (reason in ('signed_out', 'page_closed', 'replaced', 'expired', 'revoked',
        'password_changed', 'account_disabled', 'restored'));

-- Declared immutable, because PostgreSQL is to call it only when it writes a row with a new `written_at`. A dump has no generated columns:
-- whoever restores one writes the rows anew, at another time, and no trigger that is switched off changes that.
create function session_is_restored(written_at timestamptz) returns boolean
    language plpgsql immutable
    as $$
begin
    return written_at is distinct from pg_catalog.now();
end
$$;

alter table sessions
    -- The transaction that opened the session, as a dump keeps it.
    add column written_at timestamptz not null default now(),
    add column is_restored boolean not null generated always as (session_is_restored(written_at)) stored;

create index sessions_restored_idx on sessions (id) where is_restored;

-- Where rows were copied as files (`create database .. template ..`), this is another database than the one that they name. A dump that
-- brings data alone may add a row, so there is no key.
create table sessions_home (database oid not null);
insert into sessions_home select oid from pg_database where datname = current_database();

-- A dump of an earlier version has none of this. Where it was restored, one transaction wrote several rows of the list of migrations;
-- who migrates writes each in a transaction of its own.
update sessions set written_at = '-infinity'
    where exists (select from __diesel_schema_migrations group by xmin::text having count(*) > 1);

-- A dump of an earlier version that brings data alone names no time, and nor does anybody else who writes rows by hand. An earlier version
-- of the program that still runs beside this one does not, either, but it says who it is.
alter table sessions alter column written_at set default
    case when current_setting('application_name') ~ '^oneseat(/|$)' then now() else '-infinity' end;

-- Marks the sessions that were opened in another database. Each connection calls it when it begins.
create function mark_copied_sessions() returns void
    language plpgsql
    as $$
declare
    here oid := (select oid from pg_database where datname = current_database());
begin
    -- A dump that brings data alone adds the row of another database. Its sessions are marked as they are written.
    if exists (select from sessions_home where database = here) then
        return;
    end if;
    lock table sessions_home in share row exclusive mode;
    -- Somebody else may have done it meanwhile: this statement sees it.
    if not exists (select from sessions_home where database = here) then
        update sessions set written_at = '-infinity' where not is_restored;
        delete from sessions_home;
        insert into sessions_home values (here);
    end if;
end
$$;

-- For an operator who has moved the database by a dump, and served nothing in between: its sessions live on.
create function keep_restored_sessions() returns void
    language sql
    as $$
        update sessions set written_at = now();
        delete from sessions_home;
        insert into sessions_home select oid from pg_database where datname = current_database();
    $$;

-- Memory forgets everybody when sessions are marked.
create trigger sessions_marked after update of written_at on sessions for each statement execute function truncate_feed();
alter table sessions enable always trigger sessions_marked;

-- A later definition of the same: what a backup has brought back ended long ago.
create function session_ends_at(
    expires_at timestamptz,
    last_activity timestamptz,
    created_at timestamptz,
    idle_timeout interval,
    max_lifetime interval,
    is_restored boolean
) returns timestamptz
    language sql stable parallel safe
    as $$
        select case when is_restored then 'epoch' else least(expires_at, last_activity + idle_timeout, created_at + max_lifetime) end
    $$;
