alter table mails drop column invited_by;
