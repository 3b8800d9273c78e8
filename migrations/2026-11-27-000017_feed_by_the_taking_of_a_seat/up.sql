-- The taking of a seat adds its user to the feed by itself, in the statement that deletes the one session and opens the other: two
-- triggers would take a quarter of the time that a sign-in takes here. It says so by `oneseat.names_its_user`.
drop trigger sessions_feed_insert on sessions;
drop trigger sessions_feed_delete on sessions;
create trigger sessions_feed_insert after insert on sessions
    referencing new table as new_rows for each statement
    when (current_setting('oneseat.names_its_user', true) is distinct from 'on')
    execute function sessions_feed();
create trigger sessions_feed_delete after delete on sessions
    referencing old table as old_rows for each statement
    when (current_setting('oneseat.names_its_user', true) is distinct from 'on')
    execute function sessions_feed();
alter table sessions enable always trigger sessions_feed_insert;
alter table sessions enable always trigger sessions_feed_delete;
