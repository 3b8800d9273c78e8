drop index mails_line_idx;
create index mails_due_at_idx on mails (due_at);
alter table mails
    drop column network,
    drop column turn,
    drop column asked;
