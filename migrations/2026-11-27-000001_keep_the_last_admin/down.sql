drop trigger users_last_admin_stays on users;
drop function users_keep_last_admin();
