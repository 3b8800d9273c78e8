drop table login_failures;
drop table users;
