-- The outbox's line: networks take turns, and whoever causes many mails waits for themselves.

alter table mails rename column asked_from to network;
alter index mails_asked_from_idx rename to mails_network_idx;
alter table mails
    -- How many mails of its network waited when it came; of a wider network each counts for a part of one.
    alter column turn type double precision,
    -- By somebody who need not be signed in; of one turn, what is owed to people goes first.
    add column asked boolean not null default false;
update mails set asked = true where network is not null;

-- The next one to send.
drop index mails_turn_due_at_idx;
create index mails_line_idx on mails (turn, asked, due_at);
