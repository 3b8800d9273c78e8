-- The outbox is shared fairly among those who ask for links: what is owed to people comes first, and each network's second ask comes
-- after everybody's first.

alter table mails
    -- The network that asked for it, for as long as it waits; null for what nobody had to ask for.
    add column asked_from inet,
    -- How many asks of that network waited before it; 0 for what nobody had to ask for.
    add column turn integer not null default 0
        constraint mails_turn_positive check (turn >= 0);

create index mails_asked_from_idx on mails (asked_from) where asked_from is not null;
-- The next one to send.
drop index mails_due_at_idx;
create index mails_turn_due_at_idx on mails (turn, due_at);
