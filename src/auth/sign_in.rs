//! Taking the seat.
//!
//! The order is part of the contract: lock, then password, then whether the account may sign in. The password is
//! checked while holding no connection and no lock, so everything that it was checked against is confirmed again inside
//! the transaction that opens the session.

use diesel::Connection;
use diesel::pg::PgConnection;

use super::audit::{self, Actor, Attempt};
use super::recovery::happening;
use super::{Auth, Error};
use crate::mail::Kind;
use crate::mail::outbox;
use crate::sessions::history::{self, Which};
use crate::sessions::{EndReason, Origin, Session, known_origins, store as sessions};
use crate::token::Token;
use crate::users::lockout::{self, Failure};
use crate::users::store::{self as users, Credentials};
use crate::users::{Email, Password, User};

/// How often a password is checked again because the stored hash changed under the check.
const ATTEMPTS: usize = 3;

/// A taken seat.
#[derive(Debug)]
pub struct SignedIn {
    /// In clear, this once.
    pub token: Token,
    /// Who.
    pub user: User,
    /// The new session.
    pub session: Session,
}

impl Auth {
    /// Signs a user in, and ends the session they had.
    ///
    /// # Errors
    /// [`Error::AccountLocked`], [`Error::InvalidCredentials`], [`Error::AccountDisabled`],
    /// [`Error::EmailUnverified`], in this order; [`Error::Busy`] and [`Error::Unavailable`] at any point.
    pub async fn sign_in(&self, email: Email, password: Password, origin: Origin) -> Result<SignedIn, Error> {
        let done = self.attempts(&email, &password, &origin).await;
        if let Err(error) = &done
            && !is_decided(error)
        {
            // Whatever is decided is said where it is, whether or not the caller is still there to hear.
            audit::password_refused(Attempt::SignIn, &email, error, &origin);
        }
        done
    }

    async fn attempts(&self, email: &Email, password: &Password, origin: &Origin) -> Result<SignedIn, Error> {
        for _ in 0..ATTEMPTS {
            let attempt = self.attempt(email.clone(), password.clone(), origin.clone());
            if let Some(signed_in) = attempt.await? {
                return Ok(signed_in);
            }
        }
        Err(Error::Busy)
    }

    /// `None`: the stored hash changed while the password was being checked against it.
    async fn attempt(
        &self,
        email: Email,
        password: Password,
        origin: Origin,
    ) -> Result<Option<SignedIn>, Error> {
        let (address, place) = (email.clone(), origin.clone());
        let credentials = self
            .db
            .run(move |conn| {
                if lockout::is_locked(conn, &address)? {
                    audit::password_refused(Attempt::SignIn, &address, &Error::AccountLocked, &place);
                    return Err(Error::AccountLocked);
                }
                Ok(users::find_credentials(conn, &address)?)
            })
            .await?;

        // Hash even for unknown addresses: the response time must not reveal who exists.
        let matched = self
            .hasher
            .verify(password, credentials.as_ref(), origin.share())
            .await?;
        let (Some(credentials), Some(matched)) = (credentials, matched) else {
            return Err(self.count_failure(email, origin).await);
        };

        let (policy, mail) = (self.policy.sessions, self.policy.mail);
        self.db
            .run(move |conn| {
                let token = Token::generate()?;
                let done = conn.transaction::<_, Error, _>(|conn| {
                    history::keep_out_the_end_of_all(conn)?;
                    let Some(user) = confirm(conn, &email, &credentials)? else {
                        return Ok(None);
                    };
                    if let Some(hash) = &matched.stronger {
                        users::set_password(conn, user.id, hash)?;
                    }
                    let replaced = history::end(conn, Which::OfUser(user.id), EndReason::Replaced, &policy)?;
                    let session = sessions::open(conn, user.id, &token.digest(), &origin, &policy)?;
                    lockout::clear(conn, &email)?;
                    if mail.tells_of_new_places() && known_origins::see(conn, user.id, &origin)? {
                        outbox::post(conn, &email.digest(), Kind::NewSignIn, &happening(&origin))?;
                    }
                    Ok(Some((SignedIn { token, user, session }, replaced)))
                });
                let done = done.inspect_err(|error| {
                    if is_decided(error) {
                        audit::password_refused(Attempt::SignIn, &email, error, &origin);
                    }
                })?;
                Ok(done.map(|(signed_in, replaced)| {
                    audit::ended(&replaced, Actor::Own);
                    audit::signed_in(&signed_in.user, &signed_in.session, &origin);
                    signed_in
                }))
            })
            .await
    }

    /// The answer to a wrong password, once it is counted.
    async fn count_failure(&self, email: Email, origin: Origin) -> Error {
        let policy = self.policy.lockout;
        let counted = self
            .db
            .run(move |conn| {
                let failure = lockout::record_failure(conn, &email, &policy)?;
                Ok::<_, Error>(refused(Attempt::SignIn, failure, &email, &origin))
            })
            .await;
        counted.unwrap_or_else(|error| error)
    }
}

/// Why a wrong password is refused, once that is in the security log.
pub(super) fn refused(attempt: Attempt, failure: Failure, email: &Email, origin: &Origin) -> Error {
    let why = match failure {
        Failure::Counted | Failure::Locked => Error::InvalidCredentials,
        Failure::WasLocked => Error::AccountLocked,
    };
    audit::password_refused(attempt, email, &why, origin);
    if failure == Failure::Locked {
        audit::locked(email, origin);
    }
    why
}

/// Or could nothing be decided (law 5)?
fn is_decided(error: &Error) -> bool {
    !matches!(error, Error::Busy | Error::Unavailable(_))
}

/// Locks the user's row and confirms that what was checked still holds. `None`: the password was changed, or its hash
/// made stronger by a racing sign-in.
fn confirm(conn: &mut PgConnection, email: &Email, checked: &Credentials) -> Result<Option<User>, Error> {
    let current = users::lock(conn, checked.user.id)?.ok_or(Error::InvalidCredentials)?;
    if lockout::is_locked(conn, email)? {
        return Err(Error::AccountLocked);
    }
    if current.password_hash != checked.password_hash {
        return Ok(None);
    }
    if current.user.disabled_at.is_some() {
        return Err(Error::AccountDisabled);
    }
    if !current.user.email_verified {
        return Err(Error::EmailUnverified);
    }
    Ok(Some(current.user))
}
