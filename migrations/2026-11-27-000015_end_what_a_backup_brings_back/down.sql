drop function session_ends_at(timestamptz, timestamptz, timestamptz, interval, interval, boolean);
drop trigger sessions_marked on sessions;
drop function keep_restored_sessions();
drop function mark_copied_sessions();
drop table sessions_home;
-- What is marked must not live again.
delete from sessions where is_restored;
drop index sessions_restored_idx;
alter table sessions
    drop column is_restored,
    drop column written_at;
drop function session_is_restored(timestamptz);

update ended_sessions set reason = 'revoked' where reason = 'restored';
alter table ended_sessions
    drop constraint ended_sessions_reason_known,
    add constraint ended_sessions_reason_known check (reason in ('signed_out', 'page_closed', 'replaced', 'expired', 'revoked',
        'password_changed', 'account_disabled'));
