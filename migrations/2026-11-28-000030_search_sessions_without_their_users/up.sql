-- A search looks at every live session. What it may find of the user stands in the session's row, so that it need not look at every user,
-- too: that took longer than all the rest. A session of before, or of an earlier version, has nothing here, and is found by its user.
alter table sessions add column folded_user text;

-- What a search finds a user by.
create function searched_text(someone users) returns text
    language sql immutable parallel safe
    as $$
        select someone.folded_name || ' ' || someone.folded_email || coalesce(' ' || someone.searched_email, '')
    $$;

-- The row of a session follows its user. Whoever opens one holds the user's row, so none is opened with an older name meanwhile.
create function users_searched_in_sessions() returns trigger
    language plpgsql security definer
    as $$
begin
    update sessions set folded_user = searched_text(new) where user_id = new.id;
    return null;
end
$$;
create trigger users_searched_in_sessions after update of name, email, searched_email on users
    for each row when (
        (old.folded_name, old.folded_email, old.searched_email) is distinct from (new.folded_name, new.folded_email, new.searched_email)
    ) execute function users_searched_in_sessions();

-- As with the triggers of the feed: it finds nothing in anybody's temporary schema.
do $$
begin
    execute format('alter function users_searched_in_sessions set search_path = %I, pg_temp', current_schema());
end
$$;
