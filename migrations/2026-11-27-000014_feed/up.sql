-- The feed names users whose rights have changed, or whose sessions began or ended. Instances read it to forget what they remember, and
-- to tell their event streams. docs/decisions/0007 has the argument.

-- How long an instance may answer from memory after it has sent a question to the feed: the same for all instances. An end waits that
-- long after its commit. The table is also a lock, see `feed_add`.
create table validation_lease (
    is_only boolean primary key default true
        constraint validation_lease_is_only check (is_only),
    lease interval not null default '0'
        constraint validation_lease_range check (lease between '0' and '2s'),
    -- A longer lease from before, which some instance may still hold.
    previous interval,
    -- Counts the changes.
    version bigint not null default 0
);
insert into validation_lease default values;

-- Unlogged: the rows concern the running server alone. A crash and a promotion empty the tables, and a new epoch tells every instance that
-- its cursor means nothing any more. A standby cannot read them.
create unlogged table feed (
    xact xid8 not null default pg_current_xact_id(),
    -- A nil id means all users.
    user_id uuid not null,
    -- A right or a session was taken away.
    is_end boolean not null,
    constraint feed_pkey primary key (xact, user_id)
);
create unlogged table feed_epoch (
    is_only boolean primary key default true
        constraint feed_epoch_is_only check (is_only),
    epoch uuid not null default gen_random_uuid(),
    -- Rows of earlier transactions may be gone.
    purged_before xid8 not null default '0'
);

-- The name of the server that answers. A crash changes the epoch, and so does another server.
create function feed_server() returns text
    language sql stable
    as $$
        select concat_ws(' ', epoch, extract(epoch from pg_postmaster_start_time()), 'feed_epoch'::regclass::oid)
            from feed_epoch where is_only
    $$;

-- How long an end waits: the longest lease in use, by clocks that run up to one per cent wrong.
create function feed_wait() returns interval
    language sql stable
    as $$
        select greatest(lease, previous) * 1.02 + interval '5 ms' from validation_lease
            where lease > '0' or previous > '0' limit 1
    $$;

-- Adds users to the feed. A writer that takes something away and does not wait after its commit (plain SQL, an earlier version of the
-- program) waits here, before the commit: while it holds the lock, no question to the feed brings a lease.
create function feed_add(named uuid[], ends boolean, waits boolean) returns void
    language plpgsql
    as $$
begin
    if cardinality(named) > 1000 then
        named := array['00000000-0000-0000-0000-000000000000'::uuid];
    end if;
    insert into feed (user_id, is_end) select distinct unnest(named), ends
        on conflict on constraint feed_pkey do update set is_end = true where excluded.is_end and not feed.is_end;
    if waits and current_setting('oneseat.waits_after_commit', true) is distinct from 'on' then
        lock table validation_lease in row exclusive mode;
        perform pg_sleep(extract(epoch from case current_setting('transaction_isolation')
            when 'read committed' then feed_wait()
            -- This transaction may see an old lease: the longest one.
            else interval '2.1 s' end));
        perform set_config('oneseat.waits_after_commit', 'on', true);
    end if;
end
$$;

create function sessions_feed() returns trigger
    language plpgsql security definer
    as $$
declare
    named uuid[];
    ends boolean := false;
    waits boolean := false;
begin
    if tg_op = 'INSERT' then
        named := array(select user_id from new_rows limit 1001);
    elsif tg_op = 'DELETE' then
        named := array(select user_id from old_rows limit 1001);
        ends := true;
        -- Memory takes an expired session for dead.
        waits := exists (select from old_rows where expires_at > statement_timestamp());
    else
        select array_agg(id) into named from (
            select unnest(array[was.user_id, becomes.user_id]) as id
                from old_rows as was full join new_rows as becomes using (id)
                -- Activity only lengthens a session: an instance that remembers it asks too early, and learns of it then.
                where (was.user_id, was.token_digest) is distinct from (becomes.user_id, becomes.token_digest)
                    or becomes.expires_at < was.expires_at or becomes.last_activity < was.last_activity
                    or becomes.created_at < was.created_at
                    or coalesce(becomes.ends_at, 'infinity') < coalesce(was.ends_at, 'infinity')
                    or coalesce(becomes.idle_timeout, '100 years') < coalesce(was.idle_timeout, '100 years')
                limit 1001
        ) as changed where id is not null;
        ends := true;
        waits := true;
    end if;
    if cardinality(named) > 0 then
        perform feed_add(named, ends, waits);
    end if;
    return null;
end
$$;
create trigger sessions_feed_insert after insert on sessions
    referencing new table as new_rows for each statement execute function sessions_feed();
create trigger sessions_feed_update after update on sessions
    referencing old table as old_rows new table as new_rows for each statement execute function sessions_feed();
create trigger sessions_feed_delete after delete on sessions
    referencing old table as old_rows for each statement execute function sessions_feed();

create function users_feed() returns trigger
    language plpgsql security definer
    as $$
declare
    named uuid[];
    takes_away boolean;
begin
    if tg_op = 'DELETE' then
        named := array(select id from old_rows limit 1001);
        -- Otherwise the sessions go with their users, and their trigger waits.
        takes_away := current_setting('session_replication_role') = 'replica';
    else
        select array_agg(id), bool_or(is_less) into named, takes_away from (
            select id, (was.name, was.email, was.role, was.disabled_at)
                    is distinct from (becomes.name, becomes.email, becomes.role, becomes.disabled_at) as is_less
                from old_rows as was full join new_rows as becomes using (id)
                where (was.name, was.email, was.role, was.disabled_at, was.email_verified)
                    is distinct from (becomes.name, becomes.email, becomes.role, becomes.disabled_at, becomes.email_verified)
                order by is_less desc limit 1001
        ) as changed;
    end if;
    if cardinality(named) > 0 then
        perform feed_add(named, takes_away, takes_away);
    end if;
    return null;
end
$$;
create trigger users_feed_update after update on users
    referencing old table as old_rows new table as new_rows for each statement execute function users_feed();
-- Where foreign keys are not obeyed (session_replication_role), no session goes with its user.
create trigger users_feed_delete after delete on users
    referencing old table as old_rows for each statement execute function users_feed();

create function truncate_feed() returns trigger
    language plpgsql security definer
    as $$
begin
    perform feed_add(array['00000000-0000-0000-0000-000000000000'::uuid], true, true);
    return null;
end
$$;
create trigger sessions_feed_truncate after truncate on sessions for each statement execute function truncate_feed();
create trigger users_feed_truncate after truncate on users for each statement execute function truncate_feed();

-- Also in sessions that switch ordinary triggers off (session_replication_role), as some restores do.
alter table sessions enable always trigger sessions_feed_insert;
alter table sessions enable always trigger sessions_feed_update;
alter table sessions enable always trigger sessions_feed_delete;
alter table sessions enable always trigger sessions_feed_truncate;
alter table users enable always trigger users_feed_update;
alter table users enable always trigger users_feed_delete;
alter table users enable always trigger users_feed_truncate;

-- The triggers run as the owner, for writers who may change no other table. They find nothing in anybody's temporary schema, and only
-- they may call the function.
revoke execute on function feed_add(uuid[], boolean, boolean) from public;
do $$
declare
    name text;
begin
    foreach name in array array['feed_add(uuid[], boolean, boolean)', 'sessions_feed()', 'users_feed()', 'truncate_feed()'] loop
        execute format('alter function %s set search_path = %I, pg_temp', name, current_schema());
    end loop;
end
$$;

-- One question to the feed: what is visible now and was not in the snapshot `since`. If `server` is another one, nothing that was
-- remembered counts. Each statement of the function sees what was committed before that statement began, and the lock comes first.
create function read_feed(since pg_snapshot) returns table (
    server text,
    snapshot text,
    asked_at timestamptz,
    -- Whether the answer brings a lease, and how long it is.
    grants boolean,
    lease interval,
    wait interval,
    previous interval,
    version bigint,
    -- Rows that were not in `since` may be gone, or there are too many of them.
    is_lost boolean,
    named uuid[],
    ended uuid[]
)
    language plpgsql volatile
    as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the feed is read in read committed only';
    end if;
    if exists (select from feed_epoch where purged_before > pg_snapshot_xmax(pg_current_snapshot()))
        or exists (select from feed where xact >= pg_snapshot_xmax(pg_current_snapshot()))
    then
        -- A dump of another server was restored, and this one has not counted so far yet.
        delete from feed;
        delete from feed_epoch;
    end if;
    if not exists (select from feed_epoch) then
        insert into feed_epoch default values on conflict do nothing;
    end if;
    grants :=
        -- An earlier version tells of an end as soon as it finds it.
        not exists (
            select from pg_stat_activity where datname = current_database() and application_name = 'oneseat'
                and has_table_privilege(usesysid, 'sessions', 'delete')
        )
        -- A trigger that is switched off and on again has lost its `always`.
        and 7 = (
            select count(*) from pg_trigger where tgrelid in ('sessions'::regclass, 'users'::regclass)
                and tgname like '%\_feed\_%' and tgenabled = 'A'
        );
    begin
        lock table validation_lease in share mode nowait;
    exception when lock_not_available then
        grants := false;
    end;
    return query
        with fresh as materialized (
            select feed.user_id, feed.is_end from feed where feed.xact >= pg_snapshot_xmax(since)
            union all
            select feed.user_id, feed.is_end from feed where feed.xact = any (array(select pg_snapshot_xip(since)))
            limit 10001
        )
        select feed_server(), pg_current_snapshot()::text, clock_timestamp(), grants, l.lease, coalesce(feed_wait(), '0'), l.previous,
            l.version,
            since is null or pg_snapshot_xmin(since) < e.purged_before or (select count(*) from fresh) > 10000,
            array(select distinct fresh.user_id from fresh), array(select distinct fresh.user_id from fresh where fresh.is_end)
        from (select * from feed_epoch limit 1) as e cross join (select * from validation_lease limit 1) as l;
end
$$;

-- Deletes rows that every snapshot since `before` has seen, up to `most` of them. Returns how many.
create function purge_feed(before xid8, most integer) returns bigint
    language sql
    as $$
        update feed_epoch set purged_before = before where purged_before < before;
        with gone as (
            delete from feed where ctid = any (array(select ctid from feed where xact < before limit most)) returning true
        )
        select count(*) from gone
    $$;

-- The lease that instances use from now on. The instance that starts last decides.
create function set_validation_lease(chosen interval) returns void
    language sql
    as $$
        update validation_lease set
            previous = nullif(greatest(lease, previous, chosen), chosen),
            lease = chosen,
            version = version + 1
        where lease <> chosen
    $$;

-- To be called after a wait for `previous` that began when this version was seen.
create function forget_previous_lease(seen bigint) returns void
    language sql
    as $$ update validation_lease set previous = null, version = version + 1 where version = seen and previous is not null $$;
