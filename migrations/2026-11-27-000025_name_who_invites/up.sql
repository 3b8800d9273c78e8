-- The admin who sent an invitation, whom its mail names. Null: the command line. Without a foreign key: a deleted account is named
-- no more, and its deletion need not wait for the outbox.
alter table mails add column invited_by uuid;
