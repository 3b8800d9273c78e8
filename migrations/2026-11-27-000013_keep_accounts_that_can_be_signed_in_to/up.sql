-- What nobody can sign in with is no password and no address: plain SQL loses the last admin by neither.

-- A password is one that can be checked: Argon2 in a PHC string. Anything else in its place is the same as none.
create or replace function can_administer(someone users) returns boolean
    language sql immutable parallel safe
    as $$
        select someone.role = 'admin' and someone.disabled_at is null
            and someone.email_verified and coalesce(someone.password_hash like '$argon2%$%$%', false)
    $$;

-- An address that was written by hand gets its form, unless somebody else has it already: then the migration stops here, for an operator
-- to say who is meant.
update users set email = lower(btrim(email, E' \t\n\r\f\v'))
    where email <> lower(btrim(email, E' \t\n\r\f\v'));

-- The form in which people's addresses are looked up, as far as PostgreSQL can tell. What the program writes is in lower case for every
-- locale, Turkish and Lithuanian included: those differ in what becomes of capitals, of which there are none left.
alter table users
    add constraint users_email_in_normal_form check (
        email = lower(email) and email like '_%@_%' and email collate "C" !~ '[[:space:][:cntrl:]]'
    );
