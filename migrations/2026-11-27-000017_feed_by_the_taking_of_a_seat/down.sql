drop trigger sessions_feed_insert on sessions;
drop trigger sessions_feed_delete on sessions;
create trigger sessions_feed_insert after insert on sessions
    referencing new table as new_rows for each statement execute function sessions_feed();
create trigger sessions_feed_delete after delete on sessions
    referencing old table as old_rows for each statement execute function sessions_feed();
alter table sessions enable always trigger sessions_feed_insert;
alter table sessions enable always trigger sessions_feed_delete;
