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

-- A dump of an earlier version has none of this. Where it was restored, one transaction wrote the whole list of migrations.
update sessions set written_at = '-infinity'
    where (select count(*) > 1 and count(distinct xmin::text) = 1 from __diesel_schema_migrations);

-- Marks the sessions that were opened in another database. Each connection calls it when it begins.
create function end_sessions_from_elsewhere() returns void
    language plpgsql
    as $$
declare
    here oid := (select oid from pg_database where datname = current_database());
begin
    if (select count(*) filter (where database = here) > 0 and count(*) filter (where database <> here) = 0 from sessions_home) then
        return;
    end if;
    lock table sessions_home in share row exclusive mode;
    -- Somebody else may have done it meanwhile: this statement sees it.
    if (select count(*) filter (where database = here) = 0 or count(*) filter (where database <> here) > 0 from sessions_home) then
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
