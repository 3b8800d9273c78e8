-- Somebody can always administer: the last admin who can sign in is neither disabled, demoted nor removed, whoever tries and however
-- many try at once. A transaction that means it says `set local oneseat.last_admin_may_go = 'on'` first.

create function users_keep_last_admin() returns trigger
    language plpgsql
    as $$
declare
    could_administer boolean := old.role = 'admin' and old.disabled_at is null
        and old.email_verified and old.password_hash is not null;
    remains boolean;
begin
    -- "Last" is a word about others: one who could not administer takes nothing away.
    if not could_administer or current_setting('oneseat.last_admin_may_go', true) = 'on' then
        return null;
    end if;
    -- One after the other: of two who disable each other the second sees what the first has done.
    perform pg_advisory_xact_lock(8029466731944702980);
    select exists (
        select from users
        where role = 'admin' and disabled_at is null and email_verified and password_hash is not null
    ) into remains;
    if not remains then
        raise exception 'the last admin who can sign in must stay'
            using errcode = 'check_violation', constraint = tg_name, table = tg_table_name,
                  hint = 'Make somebody else an admin first.';
    end if;
    return null;
end
$$;

-- At the end of the transaction: within it the role may pass from one to another in any order.
create constraint trigger users_last_admin_stays
    after update of role, disabled_at, email_verified, password_hash or delete on users
    deferrable initially deferred
    for each row execute function users_keep_last_admin();
