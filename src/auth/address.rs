//! Changes of an account's address, and of one's own name.
//!
//! A user who changes their address gives the current password, and proves by a mailed link that the new
//! address is theirs. Until then nothing changes. Whether another account has the new address is checked only
//! when its mail is made, and finally by the constraint `users_email_key`: the user who asks does not learn
//! it (law 7). A session goes on, because its user has lost no right.

use uuid::Uuid;

use super::accounts::email_of;
use super::audit::{self, Event};
use super::authority::{Authority, Holder, LastAdmin, Subject};
use super::changes::Changes;
use super::checked_password::{CheckedPassword, Claim};
use super::lists::{Account, find_account};
use super::recovery::happening;
use super::user_ref::UserRef;
use super::{Auth, Error};
use crate::db::PgConnection;
use crate::mail::outbox::{self, Elsewhere, Happening};
use crate::mail::{Kind, readdressing, requests, undelivered};
use crate::sessions::Origin;
use crate::token::Token;
use crate::users::link::{self, Purpose};
use crate::users::store::{self as users, Credentials};
use crate::users::{Email, Name, Password, User, address, lockout};

/// An address that an operator or an admin gives to an account.
#[derive(Clone, Debug)]
pub struct NewAddress {
    /// The address.
    pub email: Email,
    /// Whether it is known to be the user's. Otherwise they have to verify it before they sign in again.
    pub is_verified: bool,
    /// Whether to mail a notice to the old address, and a link to the new one.
    pub is_mailed: bool,
}

/// A change of address that waits for its link to be used.
#[derive(Clone, Debug)]
pub struct PendingEmail {
    /// The new address.
    pub email: String,
    /// Why the mail with the link could not be delivered, if it could not.
    pub undelivered: Option<String>,
}

impl Auth {
    /// Mails a link to the address that a signed-in user wants, and a notice to the one that they have. A
    /// later request takes the place of this one; a new password withdraws it.
    ///
    /// # Errors
    /// [`Error::NoMail`], [`Error::NeedsSmtpUtf8`]; [`Error::AccountLocked`], [`Error::WrongPassword`], which
    /// counts as a failed sign-in; [`Error::SameEmail`], [`Error::TooManyChanges`]; those of [`Authority`];
    /// [`Error::Busy`], [`Error::Unavailable`].
    pub async fn request_email_change(
        &self,
        holder: Holder,
        current: Password,
        email: Email,
    ) -> Result<(), Error> {
        self.needs_mail()?;
        self.needs_reachable(&email)?;
        let claim = Claim::Change(holder.clone());
        let request = |checked| self.begin_change(email.clone(), checked, holder.clone());
        let done = self.with_password(&claim, &current, request).await;
        self.answer_after_wait(done).await
    }

    /// Confirms the password check and begins the change. Returns `None` if the password or the address
    /// changed during the check.
    async fn begin_change(
        &self,
        email: Email,
        checked: CheckedPassword,
        holder: Holder,
    ) -> Result<Option<()>, Error> {
        let (origin, wanted) = (holder.origin.clone(), email.clone());
        let (from, subject) = (origin.clone(), Subject::User(holder.user.into()));
        let (user, session) = (holder.user, holder.session);
        let begin = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or(Error::TokenInvalid)?;
            let confirmed = checked.confirm_row(conn, found);
            match confirmed.inspect_err(|error| checked.log_refusal(error))? {
                Some(user) => Ok(Some(begin(conn, &user, &wanted, &from)?)),
                None => Ok(None),
            }
        };
        let tell = move |begun: &Option<()>, _| {
            if begun.is_some() {
                audit::email_change_requested(user, session, &email, &origin);
            }
        };
        self.act_without_wait(Authority::Own(holder), subject, begin, tell)
            .await
    }

    /// Withdraws the change of address that a signed-in user has asked for, if one is pending. Returns the
    /// user, who may have the new address by now.
    ///
    /// # Errors
    /// Those of [`Authority`]; [`Error::Unavailable`].
    pub async fn withdraw_email_change(&self, holder: Holder) -> Result<User, Error> {
        let (user, subject) = (holder.user, Subject::User(holder.user.into()));
        let (session, origin) = (holder.session, holder.origin.clone());
        let withdraw = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or(Error::TokenInvalid)?;
            readdressing::withdraw(conn, user, Kind::EmailChange)?;
            Ok((found.user, link::discard(conn, user, Purpose::EmailChange)?))
        };
        let tell = move |(_, withdrawn): &(User, usize), _| {
            if *withdrawn > 0 {
                audit::email_change_withdrawn(user, session, &origin);
            }
        };
        let done = self.act(Authority::Own(holder), subject, withdraw, tell);
        Ok(done.await?.0)
    }

    /// The pending change of address of this user, if there is one. It does not show whether another account
    /// has the new address.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn pending_email(&self, user: Uuid) -> Result<Option<PendingEmail>, Error> {
        self.query(move |conn| {
            let Some(pending) = link::pending_change(conn, user)? else {
                return Ok(None);
            };
            let digest = Email::stored(&pending.email).digest();
            let undelivered = undelivered::reason(conn, &digest, Kind::EmailChange, pending.asked_at)?;
            Ok(Some(PendingEmail {
                email: pending.email,
                undelivered,
            }))
        })
        .await
    }

    /// Gives an account the address to which the link was mailed, and marks the address as verified.
    ///
    /// # Errors
    /// [`Error::LinkInvalid`], [`Error::LinkExpired`]; [`Error::EmailTaken`] if another account has got the
    /// address meanwhile; [`Error::Unavailable`].
    pub async fn confirm_email_change(&self, token: Token, origin: Origin) -> Result<(), Error> {
        self.use_link(
            token.digest(),
            Purpose::EmailChange,
            origin,
            |conn, link, origin| {
                let new = Email::stored(&link.email);
                move_to(conn, &link.user, &new, true)?;
                // The user has shown that the address is theirs, whatever others have tried with it before.
                lockout::clear(conn, &new)?;
                tell_old_address(conn, &link.user, happening(origin))?;
                forget_note(conn, &new)?;
                Ok(Vec::new())
            },
        )
        .await
    }

    /// Gives an account another address at once. Returns the account after the change, and what was
    /// changed.
    ///
    /// # Errors
    /// [`Error::NeedsSmtpUtf8`], [`Error::NoSuchUser`], [`Error::EmailTaken`]; [`Error::OwnAccount`] for the
    /// account of the admin who asks, because that change needs more than a session; [`Error::LastAdmin`];
    /// those of [`Authority`]; [`Error::Unavailable`].
    pub async fn set_email(
        &self,
        whom: impl Into<UserRef>,
        new: NewAddress,
        by: Authority,
        last_admin: LastAdmin,
    ) -> Result<(Account, Change), Error> {
        self.needs_reachable(&new.email)?;
        let (whom, policy, acting) = (whom.into(), self.policy.sessions, by.clone());
        let subject = Subject::User(whom.clone());
        let set = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or_else(|| whom.unknown())?;
            acting.allow_for_others_only(found.user.id)?;
            last_admin.allow(conn)?;
            let change = set(conn, &found, &new)?;
            let account = find_account(conn, found.user.id, &policy)?;
            Ok((account.ok_or_else(|| whom.unknown())?, change))
        };
        let tell = |(account, change): &(Account, Change), by| match change {
            Change::Address => audit::user_updated(account.user.id, "email", by),
            Change::Verified => audit::user_changed(Event::UserVerified, account.user.id, by),
            Change::Nothing => {}
        };
        self.act(by, subject, set, tell).await
    }

    /// Sets the name of a signed-in user. Returns the account after the change.
    ///
    /// # Errors
    /// Those of [`Authority`]; [`Error::Unavailable`].
    pub async fn rename_own(&self, holder: Holder, name: Name) -> Result<User, Error> {
        let changes = Changes {
            name: Some(name),
            role: None,
        };
        let (user, by) = (holder.user, Authority::Own(holder));
        Ok(self.change_user(user, changes, by, LastAdmin::Stays).await?.user)
    }
}

/// What [`Auth::set_email`] changed in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The account has another address.
    Address,
    /// The account had the address, which counts as verified from now on.
    Verified,
    /// The account had the address.
    Nothing,
}

/// Records that the user asks for this address. The transaction must hold the lock on the user's row.
fn begin(conn: &mut PgConnection, user: &User, wanted: &Email, origin: &Origin) -> Result<(), Error> {
    if user.email == wanted.as_str() {
        return Err(Error::SameEmail);
    }
    let own = email_of(user).digest();
    if !requests::count(conn, &own, Kind::EmailChangeRequested)? {
        return Err(Error::TooManyChanges);
    }
    // Addresses with and without an account get the same answer, because both are counted.
    if !requests::count(conn, &wanted.digest(), Kind::EmailChange)? {
        audit::link_refused(wanted, Kind::EmailChange, origin);
        return Err(Error::TooManyChanges);
    }
    link::begin_change(conn, user.id, wanted, &Token::generate()?)?;
    readdressing::withdraw(conn, user.id, Kind::EmailChange)?;
    outbox::post(conn, &own, Kind::EmailChangeRequested, &happening(origin))?;
    let elsewhere = Elsewhere {
        user: user.id,
        address: wanted.as_str().to_owned(),
    };
    let happening = Happening {
        elsewhere: Some(elsewhere),
        ..happening(origin)
    };
    outbox::post(conn, &wanted.digest(), Kind::EmailChange, &happening)?;
    Ok(())
}

/// Gives the user this address, or only marks it as verified if they have it already. The transaction must
/// hold the lock on the user's row.
fn set(conn: &mut PgConnection, found: &Credentials, new: &NewAddress) -> Result<Change, Error> {
    let (user, email) = (&found.user, &new.email);
    if user.email == email.as_str() {
        if !new.is_verified || users::set_verified(conn, user.id)? == 0 {
            return Ok(Change::Nothing);
        }
        link::discard(conn, user.id, Purpose::Verification)?;
        return Ok(Change::Verified);
    }
    move_to(conn, user, email, new.is_verified)?;
    if new.is_verified {
        lockout::clear(conn, email)?;
    }
    if new.is_mailed {
        tell_old_address(conn, user, Happening::default())?;
        let link = match found.password_hash {
            // A user who may not sign in is sent no link.
            _ if user.disabled_at.is_some() => None,
            // The link of an invitation verifies the address, too.
            None => Some(Kind::Invitation),
            Some(_) => (!new.is_verified).then_some(Kind::Verification),
        };
        if let Some(link) = link {
            outbox::post(conn, &email.digest(), link, &Happening::default())?;
        }
    }
    forget_note(conn, email)?;
    Ok(Change::Address)
}

/// Gives the user this address. Discards all links of the user, and withdraws a pending change of address.
fn move_to(conn: &mut PgConnection, user: &User, new: &Email, is_verified: bool) -> Result<(), Error> {
    if !address::set(conn, user.id, new, Some(is_verified))? {
        return Err(Error::EmailTaken(new.to_string()));
    }
    link::discard_all(conn, user.id)?;
    readdressing::withdraw(conn, user.id, Kind::EmailChange)?;
    readdressing::leave(conn, user.id, &user.email, &email_of(user).digest())?;
    Ok(())
}

/// Forgets what was not delivered to an address that an account has got: a mail to an earlier account, or one with the
/// link that was used. Call it after what posts a mail to the address: a delivery locks first the mail, and then the note.
fn forget_note(conn: &mut PgConnection, email: &Email) -> Result<(), Error> {
    undelivered::forget(conn, &email.digest())?;
    Ok(())
}

/// Mails a notice of the change to the old address.
fn tell_old_address(conn: &mut PgConnection, user: &User, happening: Happening) -> Result<(), Error> {
    let elsewhere = Some(Elsewhere {
        user: user.id,
        address: user.email.clone(),
    });
    let happening = Happening {
        elsewhere,
        ..happening
    };
    outbox::post(conn, &email_of(user).digest(), Kind::EmailChanged, &happening)?;
    Ok(())
}
