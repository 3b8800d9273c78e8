-- An address is changed: a link goes to the new one, and a notice to the old one. Neither is the address of the account when its mail is
-- sent, so the outbox says where such a mail goes, and whom it is about. It is the only kind of row there with an address in clear, and
-- it goes when the mail does. Without a foreign key: a deleted account gets no mail, and its deletion need not wait for the outbox.
alter table mails
    add column address text,
    add column about uuid,
    add constraint mails_address_about check ((address is null) = (about is null)),
    drop constraint mails_kind_known,
    add constraint mails_kind_known check (kind in ('invitation', 'verification', 'password_reset', 'password_changed', 'new_sign_in',
        'email_change', 'email_change_requested', 'email_changed'));

-- A later request takes the place of an earlier one that still waits.
create index mails_about_idx on mails (about) where about is not null;

-- The link of a change is there from the request on, with the new address. Until its mail is sent, nobody knows its token.
alter table one_time_links
    drop constraint one_time_links_purpose_known,
    add constraint one_time_links_purpose_known check (purpose in ('invitation', 'verification', 'password_reset', 'email_change'));
