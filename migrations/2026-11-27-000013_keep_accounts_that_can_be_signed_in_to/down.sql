alter table users drop constraint users_email_in_normal_form;

create or replace function can_administer(someone users) returns boolean
    language sql immutable parallel safe
    as $$
        select someone.role = 'admin' and someone.disabled_at is null
            and someone.email_verified and someone.password_hash is not null
    $$;
