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

-- The rows that have another spelling. It is empty as a rule.
create index users_email_spelling_idx on users (id) where not email_is_spelled(email);

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
