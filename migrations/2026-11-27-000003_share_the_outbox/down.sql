drop index mails_turn_due_at_idx;
create index mails_due_at_idx on mails (due_at);
alter table mails
    drop column asked_from,
    drop column turn;
