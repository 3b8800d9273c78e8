create or replace function can_administer(someone users) returns boolean
    language sql immutable parallel safe
    as $$
        select someone.role = 'admin' and someone.disabled_at is null
            and someone.email_verified and coalesce(someone.password_hash like '$argon2%$%$%', false)
    $$;
