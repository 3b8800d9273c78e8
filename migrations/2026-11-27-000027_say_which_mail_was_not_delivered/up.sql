-- The last mail to an address that was given up, so that an admin sees it and can send it again. As in the outbox, an address is there by
-- its digest alone.
create table undelivered_mails (
    email_digest bytea not null
        constraint undelivered_mails_pkey primary key
        constraint undelivered_mails_email_digest_length check (octet_length(email_digest) = 32),
    kind text not null,
    -- What the mail server said, as far as the log may contain it.
    reason text not null
        constraint undelivered_mails_reason_length check (char_length(reason) <= 200),
    given_up_at timestamptz not null default now()
        constraint undelivered_mails_times_in_range check (
            given_up_at >= '0001-01-01 00:00:00+00' and given_up_at < '10000-01-01 00:00:00+00'
        )
);

-- The sweeper finds stale rows by age.
create index undelivered_mails_given_up_at_idx on undelivered_mails (given_up_at);

alter table mails
    -- How often the server refused the recipient without saying whether that is for good, and took mail to others meanwhile.
    add column refusals integer not null default 0
        constraint mails_refusals_positive check (refusals >= 0),
    -- Why the last try failed.
    add column last_reason text;
