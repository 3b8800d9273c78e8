alter table users
    drop constraint users_email_in_normal_form,
    add constraint users_email_in_normal_form check (
        email = lower(email) and email like '_%@_%' and email collate "C" !~ '[[:space:][:cntrl:]]'
    );
drop index if exists users_search_idx;
alter table users
    drop column folded_name,
    drop column folded_email;
drop function lowered(text);
do $$
begin
    create index users_search_idx on users using gin (name gin_trgm_ops, email gin_trgm_ops);
exception
    when undefined_object then
        raise notice 'searching users without pg_trgm: %', sqlerrm;
end
$$;
