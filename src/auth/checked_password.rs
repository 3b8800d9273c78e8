//! The check of a password, and the account of one that was right.
//!
//! The order of the checks is part of the contract: first whether the address is locked, then the password,
//! then whether everything still holds. The check of the password holds no connection and no row lock, so the
//! transaction that acts confirms everything again. Only `with_password` makes a [`CheckedPassword`]. It
//! counts a wrong password before it answers.

use super::accounts::email_of;
use super::audit::{self, Attempt};
use super::authority::{Authority, Holder, Subject};
use super::{Auth, Error};
use crate::db::PgConnection;
use crate::sessions::Origin;
use crate::users::link::Purpose;
use crate::users::lockout::{self, Failure};
use crate::users::store::{self as users, Claimed, Credentials};
use crate::users::{Email, Match, Password, User, Verdict};

/// The most times that one password is checked, if the stored hash changes during each check.
const ATTEMPTS: usize = 3;

/// The account and the purpose of a password check.
#[derive(Clone)]
pub(super) enum Claim {
    /// Signing in with an address.
    SignIn(Email, Origin),
    /// Changing the password or the address of a session's holder.
    Change(Holder),
}

/// A password that was right when it was checked.
pub(super) struct CheckedPassword {
    claim: Claim,
    /// The address of the account.
    pub(super) email: Email,
    /// The account, as it was before the check.
    pub(super) found: Credentials,
    /// The result of the check.
    pub(super) matched: Match,
}

impl Claim {
    fn origin(&self) -> &Origin {
        match self {
            Self::SignIn(_, origin) => origin,
            Self::Change(holder) => &holder.origin,
        }
    }

    /// Writes the refusal to the security log.
    pub(super) fn log_refusal(&self, email: &Email, why: &Error) {
        let attempt = match self {
            Self::SignIn(..) => Attempt::SignIn,
            Self::Change(_) => Attempt::PasswordChange,
        };
        audit::password_refused(attempt, email, why, self.origin());
    }

    /// The error for a wrong password.
    fn wrong(&self) -> Error {
        match self {
            Self::SignIn(..) => Error::InvalidCredentials,
            Self::Change(_) => Error::WrongPassword,
        }
    }

    fn refuse_locked(&self, is_locked: bool, email: &Email) -> Result<(), Error> {
        if is_locked {
            self.log_refusal(email, &Error::AccountLocked);
            return Err(Error::AccountLocked);
        }
        Ok(())
    }
}

impl CheckedPassword {
    /// Locks the user's row until the transaction ends, and returns the user if everything still holds.
    /// Returns `None` if the password or the address was changed, or if a racing sign-in stored a stronger
    /// hash.
    pub(super) fn confirm(&self, conn: &mut PgConnection) -> Result<Option<User>, Error> {
        let Some(Claimed {
            is_locked,
            found: Some(row),
        }) = users::lock_claimed(conn, self.found.user.id, &self.email)?
        else {
            return Err(Error::InvalidCredentials);
        };
        self.still_holds(row, is_locked)
    }

    /// The second half of [`confirm`](Self::confirm), for a transaction that has locked the row already.
    pub(super) fn confirm_row(
        &self,
        conn: &mut PgConnection,
        row: Credentials,
    ) -> Result<Option<User>, Error> {
        let is_locked = lockout::is_locked(conn, &self.email)?;
        self.still_holds(row, is_locked)
    }

    fn still_holds(&self, row: Credentials, is_locked: bool) -> Result<Option<User>, Error> {
        if is_locked {
            return Err(Error::AccountLocked);
        }
        let is_as_before =
            row.password_hash == self.found.password_hash && row.user.email == self.found.user.email;
        Ok(is_as_before.then_some(row.user))
    }

    /// Writes the refusal to the security log, if the error is a decision.
    pub(super) fn log_refusal(&self, why: &Error) {
        if is_decided(why) {
            self.claim.log_refusal(&self.email, why);
        }
    }
}

impl Auth {
    /// Checks a password and acts on it. `act` returns `None` when [`CheckedPassword::confirm`] did: then the
    /// check and `act` are tried again.
    ///
    /// # Errors
    /// [`Error::AccountLocked`]; [`Error::InvalidCredentials`] or [`Error::WrongPassword`]; those of `act`,
    /// and of [`Authority`] for the holder of a session; [`Error::Busy`], [`Error::Unavailable`].
    pub(super) async fn with_password<T, Acting>(
        &self,
        claim: &Claim,
        password: &Password,
        act: impl Fn(CheckedPassword) -> Acting,
    ) -> Result<T, Error>
    where
        Acting: Future<Output = Result<Option<T>, Error>>,
    {
        for _ in 0..ATTEMPTS {
            let (email, found) = self.look_up(claim).await?;
            // Hash even for unknown addresses: the response time must not reveal who exists.
            let networks = claim.origin().networks();
            let verdict = self
                .hasher
                .verify(password.clone(), found.as_ref(), networks)
                .await?;
            let (found, matched) = match (found, verdict) {
                (Some(found), Verdict::Right(matched)) => (found, matched),
                (_, Verdict::Unusable { needs_help }) => {
                    let refused = self.count_failure(claim).await?;
                    if needs_help {
                        self.offer_new_password(claim);
                    }
                    return Err(refused);
                }
                // The operator did not configure the pepper. That must not lock the user out, so no failure
                // is counted.
                (_, Verdict::NoPepper) => {
                    claim.log_refusal(&email, &Error::InvalidCredentials);
                    return Err(claim.wrong());
                }
                (_, Verdict::Right(_) | Verdict::Wrong) => return Err(self.count_failure(claim).await?),
            };
            let claim = claim.clone();
            let checked = CheckedPassword {
                claim,
                email,
                found,
                matched,
            };
            if let Some(done) = act(checked).await? {
                return Ok(done);
            }
        }
        Err(Error::Busy)
    }

    /// Finds the address and its account, if there is one. Fails if the address is locked.
    async fn look_up(&self, claim: &Claim) -> Result<(Email, Option<Credentials>), Error> {
        let logged = claim.clone();
        let look_up = move |conn: &mut PgConnection, email: Email, own: Option<Credentials>| {
            if own.is_some() {
                return Ok((email, own));
            }
            let Claimed { is_locked, found } = users::find_claimed(conn, &email)?;
            logged.refuse_locked(is_locked, &email)?;
            Ok((email, found))
        };
        self.at_account(claim, look_up, |_| ()).await
    }

    /// Mails a link to a user whose stored hash is unusable: no password can match it. The answer to the
    /// sign-in does not show this to strangers, and does not wait for the mail.
    fn offer_new_password(&self, claim: &Claim) {
        if let Claim::SignIn(email, origin) = claim.clone()
            && self.sends_mail()
        {
            let auth = self.clone();
            tokio::spawn(async move {
                let asked = auth.request_link(email, Purpose::PasswordReset, origin).await;
                if let Err(error) = asked {
                    log::warn!("no link was sent to a user whose password hash is of no use: {error}");
                }
            });
        }
    }

    /// Counts a wrong password, and returns the error for it.
    async fn count_failure(&self, claim: &Claim) -> Result<Error, Error> {
        let (policy, logged) = (self.policy.lockout, claim.clone());
        let count = move |conn: &mut PgConnection, email: Email, _| {
            let failure = lockout::record_failure(conn, &email, &policy)?;
            Ok((failure, email))
        };
        let tell = move |(failure, email): &(Failure, Email)| {
            let why = match failure {
                Failure::Counted | Failure::Locked => Error::InvalidCredentials,
                Failure::WasLocked => Error::AccountLocked,
            };
            logged.log_refusal(email, &why);
            if *failure == Failure::Locked {
                audit::locked(email, logged.origin());
            }
        };
        let (failure, _) = self.at_account(claim, count, tell).await?;
        Ok(match (failure, claim) {
            // Other failures locked the address after the look-up.
            (Failure::WasLocked, _) => Error::AccountLocked,
            (Failure::Counted | Failure::Locked, claim) => claim.wrong(),
        })
    }

    /// Runs one step for the address of a claim. A claim of a session's holder is confirmed first: nothing is
    /// hashed or counted for a session that has ended, or while the address is locked. The step then receives
    /// the holder's account. `tell` logs what was done, after the commit.
    async fn at_account<T: Send + 'static>(
        &self,
        claim: &Claim,
        step: impl FnOnce(&mut PgConnection, Email, Option<Credentials>) -> Result<T, Error> + Send + 'static,
        tell: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, Error> {
        match claim.clone() {
            Claim::SignIn(email, _) => {
                let alone = move |conn: &mut PgConnection| step(conn, email, None).inspect(tell);
                self.run(alone).await
            }
            Claim::Change(holder) => {
                let (subject, logged) = (Subject::User(holder.user.into()), claim.clone());
                let own = move |conn: &mut PgConnection, found: Option<Credentials>| {
                    let found = found.ok_or(Error::TokenInvalid)?;
                    let email = email_of(&found.user);
                    logged.refuse_locked(lockout::is_locked(conn, &email)?, &email)?;
                    step(conn, email, Some(found))
                };
                let tell = |done: &T, _| tell(done);
                self.act_without_wait(Authority::Own(holder), subject, own, tell)
                    .await
            }
        }
    }
}

/// Whether the error is a decision, and not only a failure to decide (law 5).
pub(super) fn is_decided(error: &Error) -> bool {
    !matches!(error, Error::Busy | Error::Unavailable(_))
}
