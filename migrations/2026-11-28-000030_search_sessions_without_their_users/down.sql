drop trigger users_searched_in_sessions on users;
drop function users_searched_in_sessions();
drop function searched_text(users);
alter table sessions drop column folded_user;
