-- The outbox's line: networks take turns, and whoever causes many mails waits for themselves.

alter table mails
    -- From where it was caused, for as long as it waits.
    add column network inet,
    -- How many mails of its network waited when it came; of a wider network each counts for a part of one.
    add column turn double precision not null default 0
        constraint mails_turn_positive check (turn >= 0),
    -- By somebody who need not be signed in; of one turn, what is owed to people goes first.
    add column asked boolean not null default false;

create index mails_network_idx on mails (network) where network is not null;
-- The next one to send.
drop index mails_due_at_idx;
create index mails_line_idx on mails (turn, asked, due_at);
