delete from one_time_links where purpose = 'email_change';
alter table one_time_links
    drop constraint one_time_links_purpose_known,
    add constraint one_time_links_purpose_known check (purpose in ('invitation', 'verification', 'password_reset'));
-- What waits for an address that nobody has is of no use to an earlier version.
delete from mails where about is not null or kind in ('email_change', 'email_change_requested', 'email_changed');
delete from undelivered_mails where kind in ('email_change', 'email_change_requested', 'email_changed');
alter table mails
    drop constraint mails_kind_known,
    add constraint mails_kind_known check (kind in ('invitation', 'verification', 'password_reset', 'password_changed', 'new_sign_in')),
    drop constraint mails_address_about,
    drop column address,
    drop column about;
