-- The feed: who may do less, or other things, than before. Instances that answer validations from memory read it, and so do those that
-- hold event streams. docs/decisions/0007 has the argument.

-- How long an instance may answer from memory after a question to the feed was sent: the same for all of them. Whoever ends a session
-- waits that long after the commit. The table is also a lock, see `feed_add`.
create table validation_lease (
    is_only boolean primary key default true
        constraint validation_lease_is_only check (is_only),
    lease interval not null default '0'
        constraint validation_lease_range check (lease between '0' and '5s'),
    -- A longer one that was in use before, for as long as somebody may still go by it.
    previous interval,
    -- Counts the changes.
    version bigint not null default 0
);
insert into validation_lease default values;

-- Unlogged: what it says concerns the running server alone. After a crash, a promotion or a restore the tables are empty, and the new
-- epoch tells every instance that its cursor means nothing any more. A standby cannot read them.
create unlogged table feed (
    xact xid8 not null default pg_current_xact_id(),
    -- Nil: everybody.
    user_id uuid not null,
    -- A session began or ended, or the user changed: more than activity that was written.
    is_news boolean not null,
    -- It took something away.
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

-- Which server answers. The epoch is another one after a crash, and on another server.
create function feed_server() returns text
    language sql stable
    as $$
        select concat_ws(' ', epoch, extract(epoch from pg_postmaster_start_time()), 'feed_epoch'::regclass::oid)
            from feed_epoch limit 1
    $$;

-- How long to wait until nobody goes by an answer from memory that began before: the longest lease in use, by clocks that run up to one
-- per cent apart each way.
create function feed_wait() returns interval
    language sql stable
    as $$
        select greatest(lease, previous) * 1.02 + interval '5 ms' from validation_lease
            where lease > '0' or previous > '0' limit 1
    $$;

-- Names users in the feed. A writer that takes something away and does not wait after its commit (an operator's own SQL, an earlier
-- version of the program) waits here, before it: while it holds the lock, no question to the feed brings a lease.
create function feed_add(named uuid[], news boolean, ends boolean, waits boolean) returns void
    language plpgsql security definer
    set search_path from current
    as $$
begin
    if cardinality(named) > 500 then
        named := array['00000000-0000-0000-0000-000000000000'::uuid];
    end if;
    insert into feed (user_id, is_news, is_end) select distinct unnest(named), news, ends
        on conflict on constraint feed_pkey do update
            set is_news = feed.is_news or excluded.is_news, is_end = feed.is_end or excluded.is_end
            where excluded.is_news > feed.is_news or excluded.is_end > feed.is_end;
    if waits and current_setting('oneseat.end_is_awaited', true) is distinct from 'on' then
        lock table validation_lease in row exclusive mode;
        perform pg_sleep(extract(epoch from case current_setting('transaction_isolation')
            when 'read committed' then feed_wait()
            -- What this transaction sees may be old.
            else interval '5.1 s' end));
        perform set_config('oneseat.end_is_awaited', 'on', true);
    end if;
end
$$;

create function sessions_feed() returns trigger
    language plpgsql
    set search_path from current
    as $$
declare
    named uuid[];
    news boolean := true;
    ends boolean := false;
    waits boolean := false;
begin
    if tg_op = 'INSERT' then
        named := array(select user_id from new_rows limit 501);
    elsif tg_op = 'DELETE' then
        named := array(select user_id from old_rows limit 501);
        ends := true;
        -- What has expired is remembered by nobody.
        waits := exists (select from old_rows where expires_at > statement_timestamp());
    else
        named := array(select user_id from old_rows union select user_id from new_rows limit 501);
        select coalesce(bool_or(is_other), false), coalesce(bool_or(is_other or is_shorter), false) into news, ends
            from old_rows as was full join new_rows as becomes using (id)
            cross join lateral (select
                (was.user_id, was.token_digest) is distinct from (becomes.user_id, becomes.token_digest) as is_other,
                becomes.expires_at < was.expires_at or becomes.last_activity < was.last_activity or becomes.created_at < was.created_at
                    or coalesce(becomes.ends_at, 'infinity') < coalesce(was.ends_at, 'infinity')
                    or coalesce(becomes.idle_timeout, '100 years') < coalesce(was.idle_timeout, '100 years') as is_shorter
            ) as change;
        waits := ends;
    end if;
    if named <> '{}' then
        perform feed_add(named, news, ends, waits);
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
    language plpgsql
    set search_path from current
    as $$
declare
    named uuid[];
    takes_away boolean;
begin
    select array_agg(id), bool_or(is_less) into named, takes_away from (
        select id, (was.name, was.email, was.role, was.disabled_at)
                is distinct from (becomes.name, becomes.email, becomes.role, becomes.disabled_at) as is_less
            from old_rows as was full join new_rows as becomes using (id)
            where (was.name, was.email, was.role, was.disabled_at, was.email_verified)
                is distinct from (becomes.name, becomes.email, becomes.role, becomes.disabled_at, becomes.email_verified)
            order by is_less desc limit 501
    ) as changed;
    if named is not null then
        perform feed_add(named, true, takes_away, takes_away);
    end if;
    return null;
end
$$;
create trigger users_feed_update after update on users
    referencing old table as old_rows new table as new_rows for each statement execute function users_feed();

create function truncate_feed() returns trigger
    language plpgsql
    set search_path from current
    as $$
begin
    perform feed_add(array['00000000-0000-0000-0000-000000000000'::uuid], true, true, true);
    return null;
end
$$;
create trigger sessions_feed_truncate after truncate on sessions for each statement execute function truncate_feed();

-- Also in sessions that switch ordinary triggers off (session_replication_role), as some restores do.
alter table sessions enable always trigger sessions_feed_insert;
alter table sessions enable always trigger sessions_feed_update;
alter table sessions enable always trigger sessions_feed_delete;
alter table sessions enable always trigger sessions_feed_truncate;
alter table users enable always trigger users_feed_update;

-- One question to the feed: what is visible now and was not in the snapshot `since`. `server` is another one: everything is lost.
-- Each statement of the function sees what was committed before that statement began, and the lock comes first.
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
    ended uuid[],
    is_news boolean
)
    language plpgsql volatile
    as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the feed is read in read committed only';
    end if;
    if not exists (select from feed_epoch) then
        insert into feed_epoch default values on conflict do nothing;
    end if;
    -- Earlier versions tell of an end at once, whoever ended it.
    grants := not exists (select from pg_stat_activity where datname = current_database() and application_name = 'oneseat');
    begin
        lock table validation_lease in share mode nowait;
    exception when lock_not_available then
        grants := false;
    end;
    return query
        with fresh as materialized (
            select feed.user_id, feed.is_news, feed.is_end from feed where feed.xact >= pg_snapshot_xmax(since)
            union all
            select feed.user_id, feed.is_news, feed.is_end from feed where feed.xact = any (array(select pg_snapshot_xip(since)))
            limit 10001
        )
        select feed_server(), pg_current_snapshot()::text, clock_timestamp(), grants, l.lease, coalesce(feed_wait(), '0'), l.previous,
            l.version,
            since is null or pg_snapshot_xmin(since) < e.purged_before or (select count(*) from fresh) > 10000,
            array(select distinct fresh.user_id from fresh), array(select distinct fresh.user_id from fresh where fresh.is_end),
            exists (select from fresh where fresh.is_news)
        from (select * from feed_epoch limit 1) as e cross join (select * from validation_lease limit 1) as l;
end
$$;

-- Forgets rows that every snapshot since `before` has seen, up to `most` of them.
create function purge_feed(before xid8, most integer) returns void
    language sql
    as $$
        update feed_epoch set purged_before = before where purged_before < before;
        delete from feed where ctid = any (array(select ctid from feed where xact < before limit most))
    $$;

-- The lease that instances use from now on. Whoever starts last decides.
create function set_validation_lease(chosen interval) returns void
    language sql
    as $$
        update validation_lease set
            previous = nullif(greatest(lease, previous, chosen), chosen),
            lease = chosen,
            version = version + 1
        where lease <> chosen
    $$;

-- For who has waited for `previous` since it saw this version.
create function forget_previous_lease(seen bigint) returns void
    language sql
    as $$ update validation_lease set previous = null, version = version + 1 where version = seen and previous is not null $$;
