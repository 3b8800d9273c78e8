//! Signing in.
//!
//! The password is checked first (`checked_password`), then whether the account may sign in.

use uuid::Uuid;

use super::audit::{self, Actor};
use super::checked_password::{CheckedPassword, Claim, is_decided};
use super::recovery::happening;
use super::sign_in_statement::SignInStatement;
use super::{Auth, Error};
use crate::config::{Policy, TakeoverPolicy};
use crate::db::PgConnection;
use crate::mail::Kind;
use crate::mail::outbox;
use crate::sessions::{EndedSession, HeldSeat, Origin, Session, history, store as sessions};
use crate::token::Token;
use crate::users::{Email, Password, User};
use crate::users::{lockout, store as users};

/// The result of a sign-in.
#[derive(Debug)]
pub struct SignedIn {
    /// The token in clear. The server keeps only its digest.
    pub token: Token,
    /// The user.
    pub user: User,
    /// The new session.
    pub session: Session,
    /// Whether today's rules would refuse the password: it was imported from another system, or set under
    /// older rules.
    pub is_password_below_rules: bool,
}

/// What a sign-in says about a live session of its user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Takeover {
    /// It ends that session.
    Wanted,
    /// It ends that session if the [policy](TakeoverPolicy) allows it.
    #[default]
    IfAllowed,
}

/// What a sign-in says about the sessions of its user.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// Whether to end a live session of the user.
    pub takeover: Takeover,
    /// Whether the new session ends with the page that signs in.
    pub ends_with_page: bool,
}

/// The outcome of a sign-in with a right password. Its transaction has locked rows and is committed, which
/// proves that the server was the primary.
enum Outcome {
    SignedIn(Box<SignedIn>, HadSeat),
    /// This user has a live session, and nothing was changed.
    Refused(Uuid, HeldSeat),
}

/// Whether an earlier session had to end.
struct HadSeat(bool);

/// A sign-in with a right password that has not been decided yet.
struct Applicant {
    checked: CheckedPassword,
    origin: Origin,
    terms: Terms,
    policy: Policy,
}

impl Auth {
    /// Signs a user in, and ends their earlier session.
    ///
    /// # Errors
    /// [`Error::AccountLocked`], [`Error::InvalidCredentials`], [`Error::AccountDisabled`],
    /// [`Error::EmailUnverified`], [`Error::SeatTaken`], in this order; [`Error::Busy`] and
    /// [`Error::Unavailable`] at any point.
    pub async fn sign_in(
        &self,
        email: Email,
        password: Password,
        origin: Origin,
        terms: Terms,
    ) -> Result<SignedIn, Error> {
        let claim = Claim::SignIn(email.clone(), origin.clone());
        let take = |checked| {
            self.take_seat(Applicant {
                checked,
                origin: origin.clone(),
                terms,
                policy: self.policy,
            })
        };
        let taking = async {
            // A sign-in that cannot be confirmed would only end the earlier session. All wait here alike, whatever their
            // password.
            self.feed.wait_until_read().await?;
            self.with_password(&claim, &password, take).await
        };
        match taking.await {
            Ok(outcome) => self.answer(outcome).await,
            // There is no need to wait: no instance keeps lockouts in memory.
            Err(Error::AccountLocked) => Err(Error::AccountLocked),
            Err(error) => {
                if !is_decided(&error) {
                    // A decided refusal is logged where it is decided, even if the caller has gone.
                    claim.log_refusal(&email, &error);
                }
                self.answer_after_wait(Err(error)).await
            }
        }
    }

    async fn answer(&self, outcome: Outcome) -> Result<SignedIn, Error> {
        match outcome {
            Outcome::SignedIn(signed_in, HadSeat(true)) => {
                self.wait_out_leases().await?;
                Ok(*signed_in)
            }
            Outcome::SignedIn(signed_in, HadSeat(false)) => {
                // But an earlier session may have ended a moment ago.
                self.wait_out_leases_if_recent(signed_in.user.id).await?;
                Ok(*signed_in)
            }
            Outcome::Refused(user, seat) => {
                // The session that is shown may have replaced another one a moment ago.
                self.wait_out_leases_if_recent(user).await?;
                Err(Error::SeatTaken(seat))
            }
        }
    }

    /// Signs the user in, or refuses to replace a live session. Returns `None` if the stored hash or the
    /// address changed during the check of the password.
    async fn take_seat(&self, applicant: Applicant) -> Result<Option<Outcome>, Error> {
        self.run(move |conn| {
            let done = history::begin_sign_in(conn, |conn| applicant.decide(conn));
            let checked = &applicant.checked;
            let (outcome, replaced) = match done.inspect_err(|error| checked.log_refusal(error))? {
                None => return Ok(None),
                Some(decided) => decided,
            };
            match &outcome {
                Outcome::SignedIn(signed_in, _) => {
                    audit::ended(&replaced, Actor::Own);
                    audit::signed_in(&signed_in.user, &signed_in.session, &applicant.origin);
                }
                Outcome::Refused(_, seat) => checked.log_refusal(&Error::SeatTaken(seat.clone())),
            }
            Ok(Some(outcome))
        })
        .await
    }
}

impl Applicant {
    /// Locks the user's row and decides. Also returns the session that was replaced. Returns `None` when
    /// [`CheckedPassword::confirm`] does.
    fn decide(&self, conn: &mut PgConnection) -> Result<Option<(Outcome, Vec<EndedSession>)>, Error> {
        let Some(user) = self.checked.confirm(conn)? else {
            return Ok(None);
        };
        may_sign_in(&user)?;
        let asks = self.policy.takeover == TakeoverPolicy::Ask && self.terms.takeover == Takeover::IfAllowed;
        if asks && let Some(seat) = sessions::lock_held_seat(conn, user.id, &self.policy.sessions)? {
            if lockout::is_locked(conn, &self.checked.email)? {
                return Err(Error::AccountLocked);
            }
            return Ok(Some((Outcome::Refused(user.id, seat), Vec::new())));
        }
        self.open(conn, user).map(Some)
    }

    /// Opens a session, and ends the earlier one.
    fn open(&self, conn: &mut PgConnection, user: User) -> Result<(Outcome, Vec<EndedSession>), Error> {
        let (token, email) = (Token::generate()?, &self.checked.email);
        if let Some(hash) = &self.checked.matched.ours {
            users::set_password(conn, user.id, hash)?;
        }
        let statement = SignInStatement {
            user_id: user.id,
            email,
            token: &token.digest(),
            origin: &self.origin,
            reports_new_origins: self.policy.mail.reports_new_origins(),
            ends_with_page: self.terms.ends_with_page,
        };
        let taken = statement.run(conn, &self.policy.sessions)?;
        if taken.is_locked {
            return Err(Error::AccountLocked);
        }
        if taken.is_news {
            outbox::post(conn, &email.digest(), Kind::NewSignIn, &happening(&self.origin))?;
        }
        let had_seat = HadSeat(!taken.replaced.is_empty());
        let session = taken.session;
        let signed_in = Box::new(SignedIn {
            token,
            user,
            session,
            is_password_below_rules: self.checked.matched.is_below_rules,
        });
        Ok((Outcome::SignedIn(signed_in, had_seat), taken.replaced))
    }
}

fn may_sign_in(user: &User) -> Result<(), Error> {
    if user.disabled_at.is_some() {
        return Err(Error::AccountDisabled);
    }
    if !user.email_verified {
        return Err(Error::EmailUnverified);
    }
    Ok(())
}
