-- What became of every session, for 30 days (law 6). A row moves here from `sessions` in the statement that ends it.

create table ended_sessions (
    id uuid primary key,
    -- Not a foreign key: the reason outlives the account, so that its last page can be told.
    user_id uuid not null,
    token_digest bytea not null
        constraint ended_sessions_token_digest_key unique
        constraint ended_sessions_token_digest_length check (octet_length(token_digest) = 32),
    ip_address inet not null,
    user_agent text,
    last_activity timestamptz not null,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    ended_at timestamptz not null,
    reason text not null
        constraint ended_sessions_reason_known check (reason in ('signed_out', 'page_closed', 'replaced',
            'expired', 'revoked', 'password_changed', 'account_disabled'))
);

-- A user's own past, newest first.
create index ended_sessions_user_id_ended_at_idx on ended_sessions (user_id, ended_at desc, id desc);
-- Everybody's past, newest first; the overview counts from the index alone.
create index ended_sessions_ended_at_idx on ended_sessions (ended_at desc, id desc) include (reason, created_at);
-- Everybody's past with one reason.
create index ended_sessions_reason_ended_at_idx on ended_sessions (reason, ended_at desc, id desc);
-- Who is signed in, newest activity first.
create index sessions_last_activity_idx on sessions (last_activity desc, id desc);
-- Who is signed in from a network.
create index sessions_ip_address_idx on sessions (ip_address);

-- Which account stands behind a locked address. PostgreSQL does not hold an encoding to be immutable; that of a database is.
create function email_digest(email text) returns bytea
    language sql immutable strict parallel safe
    as $$ select sha256(convert_to(email, 'UTF8')) $$;
create index users_email_digest_idx on users (email_digest(email));

-- Search by a part of a name or an address. The extension comes with PostgreSQL and any owner of a database may create it;
-- where it is missing, search works all the same, only slower.
do $$
begin
    create extension if not exists pg_trgm;
    create index users_search_idx on users using gin (name gin_trgm_ops, email gin_trgm_ops);
exception
    when insufficient_privilege or feature_not_supported or undefined_file or undefined_object then
        raise notice 'searching users without pg_trgm: %', sqlerrm;
end
$$;
