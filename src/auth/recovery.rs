//! The way back in: links by mail that verify an address or set a password, and a password changed by its owner.
//!
//! A link is looked at before anything is hashed, and again under the lock of its user's row, which makes it work once: of two who
//! use it at the same time, one finds it gone.

use diesel::Connection;
use diesel::pg::PgConnection;
use uuid::Uuid;

use super::accounts::{email_of, replace_password};
use super::audit::{self, Actor, Attempt};
use super::authority::{Authority, Holder, Subject};
use super::sign_in::refused;
use super::{Auth, Error};
use crate::mail::Kind;
use crate::mail::outbox::{self, Asked, Happening};
use crate::sessions::{EndedSession, Origin};
use crate::token::{Token, TokenDigest};
use crate::users::link::{self, Purpose};
use crate::users::lockout::{self, Failure};
use crate::users::store::{self as users, Credentials};
use crate::users::{Email, Password, Proposed, User};

/// How often a password is checked again because the stored hash changed under the check.
const ATTEMPTS: usize = 3;

/// A link that anybody may ask for.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// I forgot my password.
    PasswordReset,
    /// My address was never verified.
    Verification,
}

impl Auth {
    /// Asks for a link for whoever has this address. Whether there is somebody is found out when the mail is made: answer and time
    /// are the same for every address (law 7).
    ///
    /// # Errors
    /// [`Error::NoMail`]; [`Error::Unavailable`].
    pub async fn request_link(&self, email: Email, request: Request, origin: Origin) -> Result<(), Error> {
        self.needs_mail()?;
        let kind = match request {
            Request::PasswordReset => Kind::PasswordReset,
            Request::Verification => Kind::Verification,
        };
        let share = origin.share();
        self.db
            .run(move |conn| {
                let asked = conn.transaction(|conn| outbox::request(conn, &email.digest(), kind, share))?;
                match asked {
                    Asked::Waiting => audit::link_requested(&email, kind, &origin),
                    Asked::TooOften => audit::link_refused(&email, kind, &origin),
                }
                Ok(())
            })
            .await
    }

    /// Sets a password by a mailed link, verifies the address that it was sent to, lifts the lock and ends the session. Does not sign
    /// in.
    ///
    /// # Errors
    /// [`Error::LinkInvalid`], [`Error::PasswordRefused`], and then the link still works; [`Error::Busy`],
    /// [`Error::Unavailable`].
    pub async fn reset_password(&self, token: Token, password: String, origin: Origin) -> Result<(), Error> {
        let digest = token.digest();
        let proposed = Proposed::new(&password)?;
        let (user, purpose) = self
            .db
            .run(move |conn| {
                let purposes = [Purpose::PasswordReset, Purpose::Invitation];
                redeemable(conn, &digest, &purposes).map_err(|error| settled(conn, &digest, &purposes, error))
            })
            .await?;
        // Judged and hashed without a connection in hand.
        let (about, share) = (vec![user.name, user.email], origin.share());
        let hash = self.hasher.hash_proposed(proposed, about, share).await??;
        let (is_mailed, policy) = (self.policy.mail.is_on(), self.policy.sessions);
        self.db
            .run(move |conn| {
                let done = conn.transaction::<_, Error, _>(|conn| {
                    let user = redeem(conn, &digest, purpose)?;
                    users::set_verified(conn, user.id)?;
                    let ended = replace_password(conn, &user, &hash, &policy)?;
                    if is_mailed && purpose == Purpose::PasswordReset {
                        tell_of_change(conn, &user, &origin)?;
                    }
                    Ok((user, ended))
                });
                let (user, ended) = done.map_err(|error| settled(conn, &digest, &[purpose], error))?;
                audit::link_used(user.id, purpose, &origin);
                audit::ended(&ended, Actor::Own);
                Ok(())
            })
            .await
    }

    /// Marks the address to which a link was mailed as its user's.
    ///
    /// # Errors
    /// [`Error::LinkInvalid`]; [`Error::Unavailable`].
    pub async fn verify_by_link(&self, token: Token, origin: Origin) -> Result<(), Error> {
        let digest = token.digest();
        self.db
            .run(move |conn| {
                let done = conn.transaction::<_, Error, _>(|conn| {
                    let user = redeem(conn, &digest, Purpose::Verification)?;
                    users::set_verified(conn, user.id)?;
                    link::discard(conn, user.id, Purpose::Verification)?;
                    Ok(user)
                });
                let user = done.map_err(|error| settled(conn, &digest, &[Purpose::Verification], error))?;
                audit::link_used(user.id, Purpose::Verification, &origin);
                Ok(())
            })
            .await
    }

    /// Changes the password of somebody who is signed in and knows it, and ends their session with all that it could do.
    ///
    /// # Errors
    /// [`Error::PasswordRefused`], [`Error::AccountLocked`], [`Error::WrongPassword`], which counts as a failed sign-in;
    /// those of [`Authority`] when the session ended meanwhile; [`Error::Busy`], [`Error::Unavailable`].
    pub async fn change_password(&self, holder: Holder, current: Password, new: String) -> Result<(), Error> {
        let new = Proposed::new(&new)?;
        for _ in 0..ATTEMPTS {
            if self.attempt_change(&holder, current.clone(), new.clone()).await? {
                return Ok(());
            }
        }
        Err(Error::Busy)
    }

    /// `false`: the stored hash changed while the password was being checked against it.
    async fn attempt_change(&self, holder: &Holder, current: Password, new: Proposed) -> Result<bool, Error> {
        // Nothing is hashed for a session that ended while the body was on its way.
        let own = self
            .act_on_own(holder, |_, found, _| Ok(found), |_, _| ())
            .await?;
        let share = holder.origin().share();
        let matched = self.hasher.verify(current, Some(&own), share).await?;
        if matched.is_none() {
            return Err(self.count_wrong_password(holder).await?);
        }
        // The dear part, for who has shown that they know the current one.
        let (checked, about) = (own.password_hash, vec![own.user.name, own.user.email]);
        let hash = self.hasher.hash_proposed(new, about, share).await??;
        let (is_mailed, origin) = (self.policy.mail.is_on(), holder.origin().clone());
        let policy = self.policy.sessions;
        let change = move |conn: &mut PgConnection, found: Credentials, _: &Email| {
            if found.password_hash != checked {
                return Ok(None);
            }
            let ended = replace_password(conn, &found.user, &hash, &policy)?;
            if is_mailed {
                tell_of_change(conn, &found.user, &origin)?;
            }
            Ok(Some((found.user.id, ended)))
        };
        let tell = |done: &Option<(Uuid, Vec<EndedSession>)>, by| {
            if let Some((user, ended)) = done {
                audit::user_changed("authn_password_change", *user, by);
                audit::ended(ended, by);
            }
        };
        Ok(self.act_on_own(holder, change, tell).await?.is_some())
    }

    /// The answer to a wrong current password, once it is counted.
    async fn count_wrong_password(&self, holder: &Holder) -> Result<Error, Error> {
        let (policy, origin) = (self.policy.lockout, holder.origin().clone());
        let count = move |conn: &mut PgConnection, _, email: &Email| {
            let failure = lockout::record_failure(conn, email, &policy)?;
            Ok((failure, email.clone()))
        };
        let tell = move |(failure, email): &(Failure, Email), _| {
            refused(Attempt::PasswordChange, *failure, email, &origin);
        };
        let (failure, _) = self.act_on_own(holder, count, tell).await?;
        Ok(match failure {
            Failure::Counted | Failure::Locked => Error::WrongPassword,
            // By others, since it was looked at.
            Failure::WasLocked => Error::AccountLocked,
        })
    }

    /// One transaction on the holder's own account, unless its address is locked.
    async fn act_on_own<T: Send + 'static>(
        &self,
        holder: &Holder,
        act: impl FnOnce(&mut PgConnection, Credentials, &Email) -> Result<T, Error> + Send + 'static,
        tell: impl FnOnce(&T, Actor) + Send + 'static,
    ) -> Result<T, Error> {
        let subject = Subject::User(holder.user().into());
        let origin = holder.origin().clone();
        let act = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or(Error::TokenInvalid)?;
            let email = email_of(&found.user)?;
            if lockout::is_locked(conn, &email)? {
                audit::password_refused(Attempt::PasswordChange, &email, &Error::AccountLocked, &origin);
                return Err(Error::AccountLocked);
            }
            act(conn, found, &email)
        };
        self.act(Authority::Own(holder.clone()), subject, act, tell).await
    }

    /// Is there anybody to send mail?
    pub fn sends_mail(&self) -> bool {
        self.policy.mail.is_on()
    }

    /// Refuses what cannot be done without mail.
    ///
    /// # Errors
    /// [`Error::NoMail`].
    pub fn needs_mail(&self) -> Result<(), Error> {
        if self.sends_mail() {
            Ok(())
        } else {
            Err(Error::NoMail)
        }
    }
}

/// Whom a link is for, if it is for one of these purposes and works.
fn redeemable(
    conn: &mut PgConnection,
    digest: &TokenDigest,
    purposes: &[Purpose],
) -> Result<(User, Purpose), Error> {
    link::find(conn, digest)?
        .filter(|(_, purpose)| purposes.contains(purpose))
        .ok_or(Error::LinkInvalid)
}

/// The same, with the user's row locked until the transaction ends.
fn redeem(conn: &mut PgConnection, digest: &TokenDigest, purpose: Purpose) -> Result<User, Error> {
    let (user, _) = redeemable(conn, digest, &[purpose])?;
    users::lock(conn, user.id)?.ok_or(Error::LinkInvalid)?;
    let (user, _) = redeemable(conn, digest, &[purpose])?;
    Ok(user)
}

/// The same error; a link that was refused is gone before anybody is told.
fn settled(conn: &mut PgConnection, digest: &TokenDigest, purposes: &[Purpose], error: Error) -> Error {
    match error {
        Error::LinkInvalid => {
            link::refuse(conn, digest, purposes).map_or_else(Error::from, |_| Error::LinkInvalid)
        }
        error => error,
    }
}

fn tell_of_change(conn: &mut PgConnection, user: &User, origin: &Origin) -> Result<(), Error> {
    let digest = email_of(user)?.digest();
    outbox::post(conn, &digest, Kind::PasswordChanged, &happening(origin))?;
    Ok(())
}

/// Where something happened, as a mail tells it.
pub(super) fn happening(origin: &Origin) -> Happening {
    Happening {
        ip_address: Some(origin.network()),
        user_agent: origin.user_agent().map(str::to_owned),
    }
}
