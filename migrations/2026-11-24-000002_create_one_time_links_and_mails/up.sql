-- The way back in: one-time links, the mails that carry them, and from where a user has been seen before.

-- What a mailed link does, and for whom. At most one live link for each purpose and user.
create table one_time_links (
    user_id uuid not null references users (id) on delete cascade,
    purpose text not null
        constraint one_time_links_purpose_known check (purpose in ('invitation', 'verification', 'password_reset')),
    token_digest bytea not null
        constraint one_time_links_token_digest_key unique
        constraint one_time_links_token_digest_length check (octet_length(token_digest) = 32),
    -- Where it was sent: of no use once the user has another address.
    email text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    constraint one_time_links_pkey primary key (user_id, purpose)
);

-- The sweeper finds what has expired.
create index one_time_links_expires_at_idx on one_time_links (expires_at);

-- Mails that wait to be sent. No address in clear and no token is here: both are put in when the mail is made, so that a row is
-- written in the same way for an address without an account, and a copy of the table opens nothing.
create table mails (
    id uuid primary key default gen_random_uuid(),
    kind text not null
        constraint mails_kind_known check (kind in ('invitation', 'verification', 'password_reset',
            'password_changed', 'new_sign_in')),
    email_digest bytea not null
        constraint mails_email_digest_length check (octet_length(email_digest) = 32),
    -- What the mail tells: when, from where and with what it happened.
    happened_at timestamptz not null default now(),
    ip_address inet,
    user_agent text,
    attempts integer not null default 0,
    due_at timestamptz not null default now(),
    created_at timestamptz not null default now()
);

-- The next one to send.
create index mails_due_at_idx on mails (due_at);
-- Asking again while a link waits to be sent changes nothing.
create unique index mails_one_link_key on mails (email_digest, kind)
    where kind in ('invitation', 'verification', 'password_reset');

-- How often a link was asked for, for each address, whether or not an account stands behind it.
create table mail_requests (
    email_digest bytea not null
        constraint mail_requests_email_digest_length check (octet_length(email_digest) = 32),
    kind text not null,
    requests integer not null
        constraint mail_requests_requests_positive check (requests > 0),
    since timestamptz not null default now(),
    constraint mail_requests_pkey primary key (email_digest, kind)
);

-- The sweeper finds stale rows by age.
create index mail_requests_since_idx on mail_requests (since);

-- From where a user has signed in: SHA-256 of network and browser, so that it tells nothing but "the same again".
create table known_origins (
    user_id uuid not null references users (id) on delete cascade,
    origin_digest bytea not null
        constraint known_origins_origin_digest_length check (octet_length(origin_digest) = 32),
    last_seen timestamptz not null default now(),
    -- When the user was told of it by mail.
    told_at timestamptz,
    constraint known_origins_pkey primary key (user_id, origin_digest)
);

-- The sweeper finds stale rows by age.
create index known_origins_last_seen_idx on known_origins (last_seen);

-- Admins see accounts newest first.
create index users_created_at_idx on users (created_at desc, id desc);
