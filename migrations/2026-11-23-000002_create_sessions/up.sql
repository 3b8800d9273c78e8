-- Live seats only. `sessions_user_id_key` is the first law: at most one live session per user.

create table sessions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null
        constraint sessions_user_id_key unique
        constraint sessions_user_id_fkey references users on delete cascade,
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_digest bytea not null
        constraint sessions_token_digest_key unique
        constraint sessions_token_digest_length check (octet_length(token_digest) = 32),
    ip_address inet not null,
    user_agent text
        constraint sessions_user_agent_length check (char_length(user_agent) <= 512),
    last_activity timestamptz not null,
    expires_at timestamptz not null,
    created_at timestamptz not null
);

-- The sweeper finds expired rows by age.
create index sessions_expires_at_idx on sessions (expires_at);
