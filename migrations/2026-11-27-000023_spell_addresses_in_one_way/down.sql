drop trigger users_email_spelling on users;
drop function users_email_spelling;
drop index users_email_spelling_idx;
alter table users drop column searched_email;
drop function email_is_spelled;
