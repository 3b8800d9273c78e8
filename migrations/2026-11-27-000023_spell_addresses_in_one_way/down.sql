drop trigger users_email_spelling on users;
drop function users_email_spelling;
drop index users_email_spelling_idx;
drop function email_is_spelled;
