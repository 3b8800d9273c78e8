drop index mails_line_idx;
create index mails_turn_due_at_idx on mails (turn, due_at);
alter table mails
    drop column asked,
    alter column turn type integer using floor(turn)::integer;
alter index mails_network_idx rename to mails_asked_from_idx;
alter table mails rename column network to asked_from;
