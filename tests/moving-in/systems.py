"""The systems: how each hashes, and the tables in which it keeps its users, filled with as many rows as are asked for.

In the statements, `i` numbers the users and `hash` is one of the fifty hashes. They are read from a table `numbered`.
"""

from dataclasses import dataclass
from typing import Callable

import hashes

ADDRESS = "'user' || i || '@example.org'"
NAME = "'Ada Lovelace ' || i"


@dataclass
class System:
    """One of them."""

    name: str
    # The heading of docs/moving-in.md whose first block of commands exports its users, and what is replaced in it.
    heading: str
    hash: Callable
    # Makes and fills its tables: SQL, or the name of what else does.
    fill: str
    server: str = "postgresql"
    replace: tuple = ()
    # Which block of commands below the heading.
    block: int = 0
    pepper: str = ""


FLASK = f"""
create table users (id serial primary key, email text, name text, password_hash text);
insert into users (email, name, password_hash) select {ADDRESS}, {NAME}, hash from numbered;
"""

DEVISE = f"""
create table users (id bigserial primary key, email text not null default '', encrypted_password text not null default '',
    confirmed_at timestamp, created_at timestamp not null);
insert into users (email, encrypted_password, confirmed_at, created_at) select {ADDRESS}, hash, now(), now() - interval '1 year' from numbered;
"""

KEYCLOAK = f"""
create table realm (id text primary key, name text);
create table user_entity (id text primary key, email text, first_name text, last_name text, email_verified boolean, enabled boolean,
    created_timestamp bigint, realm_id text references realm);
create table credential (id text primary key, user_id text references user_entity, type text, secret_data text, credential_data text);
insert into realm values ('1', 'REALM');
insert into user_entity select i::text, {ADDRESS}, 'Ada', 'Lovelace ' || i, true, true, 1700000000000, '1' from numbered;
insert into credential select i::text, i::text, 'password', hash::json ->> 0, hash::json ->> 1 from numbered;
"""

# In MariaDB `||` joins no texts.
MYSQL_ADDRESS, MYSQL_NAME = "concat('user', i, '@example.org')", "concat('Ada Lovelace ', i)"

SYSTEMS = [
    System(
        "Django", "Django", hashes.django, f"""
        insert into auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
        select hash, false, 'user' || i, 'Ada', 'Lovelace ' || i, {ADDRESS}, false, true, now() - interval '1 year' from numbered;
        """,
    ),
    System("Flask (Werkzeug)", "Flask", hashes.werkzeug_scrypt, FLASK),
    System("an application with Passlib", "Flask", hashes.passlib_pbkdf2, FLASK),
    System("an application with argon2-cffi", "Flask", hashes.argon2_cffi, FLASK),
    System("an application with bcryptjs", "Flask", hashes.bcryptjs, FLASK),
    System(
        "better-auth", "better-auth", hashes.better_auth, f"""
        insert into "user" (id, name, email, "emailVerified", "createdAt", "updatedAt")
        select i::text, {NAME}, {ADDRESS}, true, now() - interval '1 year', now() from numbered;
        insert into account (id, "accountId", "providerId", "userId", password, "createdAt", "updatedAt")
        select i::text, i::text, 'credential', i::text, hash, now(), now() from numbered;
        """,
    ),
    System(
        "Laravel", "Laravel", hashes.laravel, f"""
        create table users (id bigint unsigned auto_increment primary key, name varchar(255), email varchar(255) unique,
            email_verified_at timestamp null, password varchar(255), created_at timestamp null);
        insert into users (name, email, email_verified_at, password, created_at)
        select {MYSQL_NAME}, {MYSQL_ADDRESS}, '2024-05-01 12:00:00', hash, '2024-05-01 11:00:00' from numbered;
        """, "mysql",
    ),
    System(
        "Supabase", "Supabase", hashes.bcrypt_2a(10), f"""
        create schema auth;
        create table auth.users (id uuid default gen_random_uuid(), email varchar(255), encrypted_password varchar(255), email_confirmed_at timestamptz,
            raw_user_meta_data jsonb, created_at timestamptz, banned_until timestamptz);
        insert into auth.users (email, encrypted_password, email_confirmed_at, raw_user_meta_data, created_at)
        select {ADDRESS}, hash, now(), jsonb_build_object('name', {NAME}), now() - interval '1 year' from numbered;
        """,
    ),
    System(
        "Ory Kratos", "Ory Kratos", hashes.kratos, f"""
        create table identities (id uuid primary key default gen_random_uuid(), traits jsonb, state text, created_at timestamp);
        create table identity_verifiable_addresses (id uuid default gen_random_uuid(), identity_id uuid references identities, verified boolean);
        create table identity_credential_types (id uuid primary key default gen_random_uuid(), name text);
        create table identity_credentials (id uuid default gen_random_uuid(), identity_id uuid references identities,
            identity_credential_type_id uuid references identity_credential_types, config jsonb);
        insert into identity_credential_types (name) values ('password'), ('oidc');
        with made as (
            insert into identities (traits, state, created_at)
            select jsonb_build_object('email', {ADDRESS}, 'name', {NAME}, 'hash', hash), 'active', now() - interval '1 year' from numbered
            returning id, traits ->> 'hash' as hash
        ), verified as (insert into identity_verifiable_addresses (identity_id, verified) select id, true from made)
        insert into identity_credentials (identity_id, identity_credential_type_id, config)
        select made.id, t.id, jsonb_build_object('hashed_password', hash) from made, identity_credential_types t where t.name = 'password';
        create index on identity_verifiable_addresses (identity_id);
        create index on identity_credentials (identity_id);
        """,
    ),
    System("Devise", "Devise", hashes.devise(""), DEVISE),
    System(
        "Devise with a pepper", "Devise", hashes.devise("made up pepper 0123456789abcdef"), DEVISE,
        replace=(("then encrypted_password", "then '{devise}' || encrypted_password"),), pepper="made up pepper 0123456789abcdef",
    ),
    System(
        "Spring Security", "Spring Security", hashes.spring, f"""
        create table users (email text, password text, enabled boolean);
        insert into users select {ADDRESS}, hash, true from numbered;
        """,
    ),
    System(
        "ASP.NET Core Identity", "ASP.NET Core Identity", hashes.asp_net, f"""
        create table "AspNetUsers" ("Id" text, "UserName" text, "Email" text, "EmailConfirmed" boolean, "PasswordHash" text, "LockoutEnd" timestamptz);
        insert into "AspNetUsers" select i::text, {NAME}, {ADDRESS}, true, hash, null from numbered;
        """,
    ),
    System("Keycloak", "Keycloak", hashes.keycloak, KEYCLOAK),
    System("Keycloak, the export of a realm", "Keycloak", hashes.keycloak, "realm.json", "file", block=1),
    System(
        "WordPress", "WordPress", hashes.wordpress, f"""
        create table wp_users (ID bigint unsigned auto_increment primary key, user_login varchar(60), user_pass varchar(255), user_email varchar(100),
            user_registered datetime, display_name varchar(250));
        insert into wp_users (user_login, user_pass, user_email, user_registered, display_name)
        select concat('user', i), hash, {MYSQL_ADDRESS}, '2024-05-01 11:00:00', {MYSQL_NAME} from numbered;
        """, "mysql",
    ),
    System(
        "Nextcloud", "Nextcloud", hashes.nextcloud, f"""
        create table oc_users (uid text primary key, displayname text, password text, uid_lower text);
        create table oc_preferences (userid text, appid text, configkey text, configvalue text, primary key (userid, appid, configkey));
        insert into oc_users select 'user' || i, {NAME}, hash, 'user' || i from numbered;
        insert into oc_preferences select 'user' || i, 'settings', 'email', {ADDRESS} from numbered;
        """,
    ),
    System("OpenLDAP", "A directory (LDAP)", hashes.slappasswd, "entries.ldif", "ldap"),
]
