-- Somebody can always administer: the last admin who can sign in is neither disabled, demoted nor removed, whoever tries and however
-- many try at once. A transaction that means it says `set local oneseat.last_admin_may_go = 'on'` first.

-- Could this user sign in and administer? A locked address makes no difference: its lock passes by itself.
create function can_administer(someone users) returns boolean
    language sql immutable parallel safe
    as $$
        select someone.role = 'admin' and someone.disabled_at is null
            and someone.email_verified and someone.password_hash is not null
    $$;

create function users_keep_last_admin() returns trigger
    language plpgsql
    as $$
declare
    -- By its full name: somebody else's search_path may find another table.
    admins text := format('select true from %1$I.%2$I as someone where %1$I.can_administer(someone)',
        tg_table_schema, tg_table_name) || ' limit 1';
    is_there boolean;
begin
    if current_setting('oneseat.last_admin_may_go', true) = 'on' then
        return null;
    end if;
    if tg_op = 'TRUNCATE' then
        -- Asked before: nobody may be lost, for nobody will remain.
        execute admins into is_there;
        is_there := is_there is null;
    elsif current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        -- What this transaction sees may be old: PostgreSQL refuses to lock a row that has changed since.
        execute admins || ' for share' into is_there;
    else
        -- One after the other: of two who disable each other the second sees what the first has done.
        perform pg_advisory_xact_lock(8029466731944702980);
        execute admins into is_there;
    end if;
    if is_there is not true then
        raise exception 'the last admin who can sign in must stay'
            using errcode = 'check_violation', constraint = 'users_last_admin_stays', table = tg_table_name,
                  hint = 'Add another admin first, or say in the same transaction: set local oneseat.last_admin_may_go = ''on''';
    end if;
    return null;
end
$$;

-- At the end of the transaction: within it the role may pass from one to another in any order. Only for who could administer and,
-- when the row was changed, no longer can: everybody else costs nothing.
create constraint trigger users_last_admin_stays
    after update of role, disabled_at, email_verified, password_hash on users
    deferrable initially deferred
    for each row when (can_administer(old) and not can_administer(new))
    execute function users_keep_last_admin();
create constraint trigger users_last_admin_is_not_removed
    after delete on users
    deferrable initially deferred
    for each row when (can_administer(old))
    execute function users_keep_last_admin();
create trigger users_last_admin_is_not_truncated
    before truncate on users
    for each statement
    execute function users_keep_last_admin();
