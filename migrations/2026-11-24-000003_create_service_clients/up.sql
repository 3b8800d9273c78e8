-- Services that may ask whose token they were given (RFC 7662).

create table service_clients (
    id uuid primary key default gen_random_uuid(),
    name text not null
        constraint service_clients_name_key unique
        constraint service_clients_name_length check (char_length(name) between 1 and 200),
    -- SHA-256 of 256 random bits: nothing that could be guessed from it.
    secret_digest bytea not null
        constraint service_clients_secret_digest_length check (octet_length(secret_digest) = 32),
    created_at timestamptz not null default now()
);
