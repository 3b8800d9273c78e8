create or replace function searched_text(someone users) returns text
    language sql immutable parallel safe
    as $$
        select someone.folded_name || ' ' || someone.folded_email || coalesce(' ' || someone.searched_email, '')
    $$;
update sessions set folded_user = searched_text(users)
    from users where users.id = sessions.user_id and users.folded_plain is not null and sessions.folded_user is not null;
drop trigger users_folded_plain on users;
drop function users_folded_plain();
alter table users drop column folded_plain;
drop function plain_letters(text);
