drop trigger users_last_admin_is_not_truncated on users;
drop trigger users_last_admin_is_not_removed on users;
drop trigger users_last_admin_stays on users;
drop function users_keep_last_admin();
drop function can_administer(users);
