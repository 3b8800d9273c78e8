-- One spelling for one mailbox: the domain in ASCII (IDNA) without the dot of the root, and no letter in full or half width. PostgreSQL
-- cannot translate a domain, so the program gives older rows their spelling when it opens the database next, a few at a time. Where two
-- accounts would have one address, it leaves both and says so.

-- As far as PostgreSQL can tell.
create function email_is_spelled(email text) returns boolean
    language sql immutable strict parallel safe
    as $$
        select right(email, 1) <> '.' and (octet_length(email) = char_length(email)
            or email collate "C" ~ '@[!-?A-~]+$' and email collate "C" !~ '[\uFF01-\uFFEE]')
    $$;

-- The address as people read it, folded like `folded_email`, so that a search finds the letters that a list shows. Only where the domain
-- is not readable in ASCII: the program writes it, for older rows when it opens the database next.
alter table users add column searched_email text;
do $$
begin
    -- The extension may be in a schema that is not searched, or missing.
    execute (
        select format('create index users_searched_email_idx on users using gin (searched_email %I.gin_trgm_ops) where searched_email is not null',
                nspname)
            from pg_extension join pg_namespace on pg_namespace.oid = extnamespace where extname = 'pg_trgm'
    );
exception
    when null_value_not_allowed or insufficient_privilege or undefined_object then
        raise notice 'searching users without pg_trgm: %', sqlerrm;
end
$$;

-- The rows that the program has to look at. It is empty as a rule.
create index users_email_spelling_idx on users (id)
    where not email_is_spelled(email) or (email like '%@%xn--%' and searched_email is null);

-- A trigger and no constraint: an account that is left with its old spelling can still be disabled.
create function users_email_spelling() returns trigger
    language plpgsql
    as $$
begin
    raise exception 'the domain of an address is stored in ASCII (xn--...), without a dot at its end'
        using errcode = 'check_violation', constraint = 'users_email_spelling',
            hint = 'Add the account with oneseat user add, which spells it so.';
end
$$;
create trigger users_email_spelling before insert or update of email on users
    for each row when (not email_is_spelled(new.email)) execute function users_email_spelling();
