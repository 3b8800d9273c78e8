//! Signing in.
//!
//! The password is checked first (`checked_password`), then whether the account may sign in.

use super::audit::{self, Actor};
use super::checked_password::{CheckedPassword, Claim, is_decided};
use super::recovery::happening;
use super::sign_in_statement::SignInStatement;
use super::{Auth, Error};
use crate::mail::Kind;
use crate::mail::outbox;
use crate::sessions::{Origin, Session, history};
use crate::token::Token;
use crate::users::store as users;
use crate::users::{Email, Password, User};

/// The result of a sign-in.
#[derive(Debug)]
pub struct SignedIn {
    /// The token in clear, only here.
    pub token: Token,
    /// The user.
    pub user: User,
    /// The new session.
    pub session: Session,
}

/// Whether an earlier session had to end.
struct HadSeat(bool);

impl Auth {
    /// Signs a user in, and ends their earlier session. `ends_with_page`: the new session ends with the page
    /// that signs in.
    ///
    /// # Errors
    /// [`Error::AccountLocked`], [`Error::InvalidCredentials`], [`Error::AccountDisabled`],
    /// [`Error::EmailUnverified`], in this order; [`Error::Busy`] and [`Error::Unavailable`] at any point.
    pub async fn sign_in(
        &self,
        email: Email,
        password: Password,
        origin: Origin,
        ends_with_page: bool,
    ) -> Result<SignedIn, Error> {
        let claim = Claim::SignIn(email.clone(), origin.clone());
        let take = |checked| self.take_seat(checked, origin.clone(), ends_with_page);
        let done = self.with_password(&claim, &password, take).await;
        if let Err(error) = &done
            && !is_decided(error)
        {
            // A decided refusal is logged where it is decided, even if the caller has gone.
            claim.log_refusal(&email, error);
        }
        match done {
            // Locks have nothing to do with what anybody remembers.
            Err(Error::AccountLocked) => done.map(|(signed_in, _)| signed_in),
            Ok((signed_in, HadSeat(false))) => {
                // But it may have ended a moment ago.
                self.wait_out_leases_if_recent(signed_in.user.id).await?;
                Ok(signed_in)
            }
            done => Ok(self.answer_after_wait(done).await?.0),
        }
    }

    /// `None`: the stored hash changed while the password was being checked against it.
    async fn take_seat(
        &self,
        checked: CheckedPassword,
        origin: Origin,
        ends_with_page: bool,
    ) -> Result<Option<(SignedIn, HadSeat)>, Error> {
        let (policy, mail) = (self.policy.sessions, self.policy.mail);
        self.run(move |conn| {
            let (token, email) = (Token::generate()?, &checked.email);
            let done = history::begin_sign_in(conn, |conn| {
                let Some(user) = checked.confirm(conn)? else {
                    return Ok(None);
                };
                may_sign_in(&user)?;
                if let Some(hash) = &checked.matched.stronger {
                    users::set_password(conn, user.id, hash)?;
                }
                let statement = SignInStatement {
                    user_id: user.id,
                    email,
                    token: &token.digest(),
                    origin: &origin,
                    reports_new_origins: mail.reports_new_origins(),
                    ends_with_page,
                };
                let taken = statement.run(conn, &policy)?;
                if taken.is_locked {
                    return Err(Error::AccountLocked);
                }
                if taken.is_news {
                    outbox::post(conn, &email.digest(), Kind::NewSignIn, &happening(&origin))?;
                }
                let session = taken.session;
                Ok(Some((SignedIn { token, user, session }, taken.replaced)))
            });
            let done = done.inspect_err(|error| checked.log_refusal(error))?;
            Ok(done.map(|(signed_in, replaced)| {
                audit::ended(&replaced, Actor::Own);
                audit::signed_in(&signed_in.user, &signed_in.session, &origin);
                (signed_in, HadSeat(!replaced.is_empty()))
            }))
        })
        .await
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
