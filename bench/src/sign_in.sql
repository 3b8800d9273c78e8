-- A sign-in as PostgreSQL sees it: what the program sends once the password is found right. In a real sign-in, settings
-- say that the end is awaited, that the user is named here, and that no plan scans a whole table. Here the database has
-- these settings.
\set user random(1, USERS)
\set nonce random(1, 9000000000000)
begin;
select pg_advisory_xact_lock_shared(8029466731944702979);
select exists (select from login_failures where email_digest = sha256(convert_to(:user::text, 'UTF8')) and locked_until > now()) as is_locked,
    users.id, users.name, users.email, users.role, users.email_verified, users.disabled_at, users.created_at, users.password_hash
from users where id = md5('user' || :user::text)::uuid for update;
with gone as (
    delete from sessions where user_id = md5('user' || :user::text)::uuid
    returning *, session_ends_at(expires_at, last_activity, created_at, '2 hours', '12 hours') as over_at
), ended as (
    insert into ended_sessions
        (id, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at, ended_at, reason)
    select id, user_id, token_digest, ip_address, user_agent, last_activity, expires_at, created_at,
        least(over_at, statement_timestamp()), case when over_at <= statement_timestamp() then 'expired' else 'replaced' end
    from gone
    returning *
), opened as (
    insert into sessions
        (user_id, token_digest, ip_address, user_agent, written_at, created_at, last_activity, expires_at, idle_timeout, ends_at)
    select md5('user' || :user::text)::uuid, sha256(convert_to(:nonce::text, 'UTF8')), '192.0.2.1', 'pgbench', now(), at, at,
        at + interval '2 hours', '2 hours', at + interval '12 hours'
    from (select clock_timestamp() as at from gone having count(*) >= 0) as empty_seat
    returning *
), forgotten as (
    delete from login_failures
    where email_digest = sha256(convert_to(:user::text, 'UTF8')) and (locked_until is null or locked_until <= now())
)NAMED
select opened.*, ended.*,
    exists (select from login_failures where email_digest = sha256(convert_to(:user::text, 'UTF8')) and locked_until > now())
from opened left join ended on true;
