alter table mails
    drop column refusals,
    drop column last_reason;
drop table undelivered_mails;
