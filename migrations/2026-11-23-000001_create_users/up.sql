-- Who may sign in, and how often an address was tried in vain.

create table users (
    id uuid primary key default gen_random_uuid(),
    name text not null
        constraint users_name_length check (char_length(name) between 1 and 200),
    -- Trimmed, NFC, lower case: the program normalises before it compares or stores.
    email text not null
        constraint users_email_key unique
        constraint users_email_length check (octet_length(email) between 3 and 254),
    -- A PHC string; null until a password is set.
    password_hash text,
    email_verified boolean not null default false,
    role text not null default 'user'
        constraint users_role_known check (role in ('user', 'admin')),
    disabled_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- One row per address tried, whether or not an account stands behind it. Only the SHA-256 of the
-- address is kept: people type passwords into the wrong field.
create table login_failures (
    email_digest bytea primary key
        constraint login_failures_email_digest_length check (octet_length(email_digest) = 32),
    failed_attempts integer not null
        constraint login_failures_failed_attempts_positive check (failed_attempts > 0),
    locked_until timestamptz,
    updated_at timestamptz not null default now()
);

-- The sweeper finds stale rows by age.
create index login_failures_updated_at_idx on login_failures (updated_at);
