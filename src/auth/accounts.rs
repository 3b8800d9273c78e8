//! What operators and admins do to accounts. A change that takes away the right to be signed in also ends the
//! session, in the same transaction.

use diesel::Connection;
use uuid::Uuid;

use super::audit::{self, Actor, Event};
use super::authority::{Authority, LastAdmin, Subject};
use super::user_ref::UserRef;
use super::{Auth, Error};
use crate::config::SessionPolicy;
use crate::db::PgConnection;
use crate::mail::Kind;
use crate::mail::outbox::{self, Happening};
use crate::mail::undelivered;
use crate::sessions::feed;
use crate::sessions::history::{self, Which};
use crate::sessions::{EndReason, EndedSession};
use crate::users::link::{self, Purpose};
use crate::users::store::{self as users, Credentials, NewUser};
use crate::users::{Email, Name, Password, PasswordHash, Role, User, lockout};

/// A new account. The password is in clear until it is hashed.
#[derive(Debug)]
pub struct NewAccount {
    /// The user's name.
    pub name: Name,
    /// The user's address, which no other account has.
    pub email: Email,
    /// The user's role.
    pub role: Role,
    /// Whether the address is known to be the user's.
    pub email_verified: bool,
    /// The password: a random one, or a chosen one that passed the strength check.
    pub password: Password,
}

/// A new account whose user chooses the password by a mailed link.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The user's name.
    pub name: Name,
    /// The user's address, which no other account has.
    pub email: Email,
    /// The user's role.
    pub role: Role,
}

/// The number of rows that a change wrote, and the sessions that it ended. With no row, nothing was different
/// before, and no change is logged.
pub(super) type Change = (usize, Vec<EndedSession>);

impl Auth {
    /// Creates an account.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], [`Error::NeedsSmtpUtf8`]; [`Error::Unavailable`].
    pub async fn add_user(&self, account: NewAccount) -> Result<User, Error> {
        self.needs_reachable(&account.email)?;
        let password_hash = self.hasher.hash(account.password).await?;
        let new = NewUser {
            name: account.name,
            email: account.email,
            role: account.role,
            email_verified: account.email_verified,
            password_hash: Some(password_hash),
        };
        self.run(move |conn| {
            let user = conn.transaction(|conn| {
                let user = create(conn, &new)?;
                forget_notes(conn, &new)?;
                Ok::<_, Error>(user)
            })?;
            audit::user_changed(Event::UserCreated, user.id, Actor::Operator);
            Ok(user)
        })
        .await
    }

    /// Fails if mail cannot reach the address of a new account. Otherwise only its user would find out, days
    /// later.
    pub(super) fn needs_reachable(&self, email: &Email) -> Result<(), Error> {
        if email.needs_smtp_utf8() && !self.policy.takes_utf8_addresses {
            return Err(Error::NeedsSmtpUtf8(email.to_string()));
        }
        Ok(())
    }

    /// Creates an account without a password, and sends its user a link to choose one.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], [`Error::NeedsSmtpUtf8`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn invite(&self, invitation: Invitation, by: Authority) -> Result<User, Error> {
        self.needs_reachable(&invitation.email)?;
        let new = NewUser {
            name: invitation.name,
            email: invitation.email,
            role: invitation.role,
            email_verified: false,
            password_hash: None,
        };
        let happening = invitation_by(&by);
        let invite = move |conn: &mut PgConnection, _| {
            let user = create(conn, &new)?;
            outbox::post(conn, &new.email.digest(), Kind::Invitation, &happening)?;
            forget_notes(conn, &new)?;
            Ok(user)
        };
        let tell = |user: &User, by| audit::user_changed(Event::UserCreated, user.id, by);
        self.act(by, Subject::Nobody, invite, tell).await
    }

    /// Sends a link with which the user chooses a new password, or the first one.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::AccountDisabled`]; those of [`Authority`]; [`Error::Unavailable`].
    pub async fn send_password_link(&self, whom: impl Into<UserRef>, by: Authority) -> Result<(), Error> {
        let happening = invitation_by(&by);
        self.change(Event::LinkRequested, whom.into(), by, move |conn, found| {
            let kind = match found.password_hash {
                Some(_) => Kind::PasswordReset,
                None => Kind::Invitation,
            };
            let email = email_of(&found.user);
            if found.user.disabled_at.is_some() {
                audit::mail_not_sent(kind, &email.short_digest(), "account is disabled");
                return Err(Error::AccountDisabled);
            }
            outbox::post(conn, &email.digest(), kind, &happening)?;
            undelivered::forget(conn, &email.digest())?;
            feed::tell_lists(conn)?;
            Ok((1, Vec::new()))
        })
        .await
    }

    /// Sets a password, lifts the lock and ends the session.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn set_password(&self, whom: impl Into<UserRef>, password: Password) -> Result<(), Error> {
        let hash = self.hasher.hash(password).await?;
        let policy = self.policy.sessions;
        let set = move |conn: &mut PgConnection, found: &Credentials| {
            Ok((1, replace_password(conn, &found.user, &hash, &policy)?))
        };
        self.change(Event::PasswordChanged, whom.into(), Authority::Operator, set)
            .await
    }

    /// Marks the address as known to be the user's.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn verify_email(&self, whom: impl Into<UserRef>) -> Result<(), Error> {
        let verify = |conn: &mut PgConnection, found: &Credentials| {
            let verified = users::set_verified(conn, found.user.id)?;
            link::discard(conn, found.user.id, Purpose::Verification)?;
            Ok((verified, Vec::new()))
        };
        self.change(Event::UserVerified, whom.into(), Authority::Operator, verify)
            .await
    }

    /// Forgets the failures of an address, with or without an account. Returns whether there were any.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`] for an unknown id; [`Error::Unavailable`].
    pub async fn unlock(&self, whom: impl Into<UserRef>) -> Result<bool, Error> {
        let email = match whom.into() {
            UserRef::Email(email) => email,
            UserRef::Id(id) => email_of(&self.account(id).await?.user),
        };
        self.run(move |conn| {
            let had_failures = conn.transaction(|conn| forget_failures(conn, &email))?;
            if had_failures {
                audit::unlocked(&email, Actor::Operator);
            }
            Ok(had_failures)
        })
        .await
    }

    /// Forgets the failures of a user's address.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn unlock_user(&self, id: Uuid, by: Authority) -> Result<(), Error> {
        let unlock = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or_else(|| UserRef::Id(id).unknown())?;
            let email = email_of(&found.user);
            let had_failures = forget_failures(conn, &email)?;
            Ok((email, had_failures))
        };
        let tell = |(email, had_failures): &(Email, bool), by| {
            if *had_failures {
                audit::unlocked(email, by);
            }
        };
        self.act(by, Subject::User(id.into()), unlock, tell).await?;
        Ok(())
    }

    /// Forbids signing in, and ends the session.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::OwnAccount`], [`Error::LastAdmin`]; those of [`Authority`];
    /// [`Error::Unavailable`].
    pub async fn disable(
        &self,
        whom: impl Into<UserRef>,
        by: Authority,
        last_admin: LastAdmin,
    ) -> Result<(), Error> {
        let (policy, acting) = (self.policy.sessions, by.clone());
        let disable = move |conn: &mut PgConnection, found: &Credentials| {
            let id = found.user.id;
            acting.allow_for_others_only(id)?;
            last_admin.allow(conn)?;
            let disabled = users::disable(conn, id)?;
            link::discard_all(conn, id)?;
            // Plain SQL may have disabled the account and left its session.
            let ended = history::end(conn, Which::OfUser(id), EndReason::AccountDisabled, &policy)?;
            Ok((disabled, ended))
        };
        self.change(Event::UserDisabled, whom.into(), by, disable).await
    }

    /// Allows signing in again.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn enable(&self, whom: impl Into<UserRef>, by: Authority) -> Result<(), Error> {
        self.change(Event::UserEnabled, whom.into(), by, |conn, found| {
            Ok((users::enable(conn, found.user.id)?, Vec::new()))
        })
        .await
    }

    /// Makes a change in one transaction, with the user's row locked, so that no sign-in comes between. Then
    /// logs the change, and the session that it ended.
    pub(super) async fn change(
        &self,
        event: Event,
        whom: UserRef,
        by: Authority,
        change: impl FnOnce(&mut PgConnection, &Credentials) -> Result<Change, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let subject = Subject::User(whom.clone());
        let act = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or_else(|| whom.unknown())?;
            let change = change(conn, &found)?;
            Ok((found.user, change))
        };
        let tell = move |(user, (changed, ended)): &(User, Change), by| {
            if *changed > 0 {
                audit::user_changed(event, user.id, by);
            }
            audit::ended(ended, by);
        };
        self.act(by, subject, act, tell).await?;
        Ok(())
    }
}

fn create(conn: &mut PgConnection, new: &NewUser) -> Result<User, Error> {
    let user = users::create(conn, new)?.ok_or_else(|| Error::EmailTaken(new.email.to_string()))?;
    feed::tell_lists(conn)?;
    Ok(user)
}

/// Forgets what an earlier account with this address has left: a note of a mail that was given up.
fn forget_notes(conn: &mut PgConnection, new: &NewUser) -> Result<(), Error> {
    undelivered::forget_all(conn, &[new.email.digest().to_vec()])?;
    Ok(())
}

fn forget_failures(conn: &mut PgConnection, email: &Email) -> Result<bool, Error> {
    let had_failures = lockout::clear(conn, email)?;
    if had_failures {
        feed::tell_lists(conn)?;
    }
    Ok(had_failures)
}

/// The facts about its sender that an invitation carries.
pub(super) fn invitation_by(by: &Authority) -> Happening {
    Happening {
        invited_by: by.holder().map(|holder| holder.user),
        ..Happening::default()
    }
}

/// The user's address as it is stored.
pub(super) fn email_of(user: &User) -> Email {
    Email::stored(&user.email)
}

/// Sets a password, lifts the lock, ends the session, and discards every mailed link. The transaction must
/// hold the lock on the user's row.
pub(super) fn replace_password(
    conn: &mut PgConnection,
    user: &User,
    hash: &PasswordHash,
    policy: &SessionPolicy,
) -> Result<Vec<EndedSession>, Error> {
    users::set_password(conn, user.id, hash)?;
    lockout::clear(conn, &email_of(user))?;
    // Lists of admins change even if no session ends: an invited user becomes active, or a lock is gone.
    feed::tell_lists(conn)?;
    link::discard_all(conn, user.id)?;
    let (which, reason) = (Which::OfUser(user.id), EndReason::PasswordChanged);
    Ok(history::end(conn, which, reason, policy)?)
}
