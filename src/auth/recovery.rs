//! Account recovery: mailed links that verify an address or set a password, and password changes by users.
//!
//! A link is checked before anything is hashed, and again when it is used.

use diesel::Connection;
use uuid::Uuid;

use super::accounts::{email_of, replace_password};
use super::audit::{self, Event};
use super::authority::{Authority, Holder, Subject};
use super::checked_password::{CheckedPassword, Claim};
use super::{Auth, Error};
use crate::config::TakeoverPolicy;
use crate::db::PgConnection;
use crate::mail::Kind;
use crate::mail::outbox::{self, Asked, Happening, Waiting};
use crate::sessions::{EndedSession, Origin};
use crate::token::Token;
use crate::users::link::{self, Purpose};
use crate::users::store::{self as users, Credentials};
use crate::users::{Email, Password, Proposed, User, lockout};

impl Auth {
    /// Requests a link for the user with this address. Delivery finds out later whether there is one:
    /// answer and time are the same for every address (law 7).
    ///
    /// # Errors
    /// [`Error::NoMail`]; [`Error::Unavailable`].
    pub async fn request_link(&self, email: Email, purpose: Purpose, origin: Origin) -> Result<(), Error> {
        self.needs_mail()?;
        let kind = match purpose {
            Purpose::Invitation => Kind::Invitation,
            Purpose::Verification => Kind::Verification,
            Purpose::PasswordReset => Kind::PasswordReset,
            Purpose::EmailChange => Kind::EmailChange,
        };
        let networks = origin.networks();
        self.run(move |conn| {
            let asked = conn.transaction(|conn| outbox::request(conn, &email.digest(), kind, networks))?;
            match asked {
                Asked::Waiting => audit::link_requested(&email, kind, &origin),
                Asked::TooOften => audit::link_refused(&email, kind, &origin),
            }
            Ok(())
        })
        .await
    }

    /// How long the address stays locked, in seconds. `None` if it is not locked.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn locked_for(&self, email: Email) -> Result<Option<i64>, Error> {
        self.query(move |conn| lockout::seconds_left(conn, &email)).await
    }

    /// Sets a password by a mailed link, verifies the address that it was sent to, lifts the lock and ends
    /// the session. Does not sign in.
    ///
    /// # Errors
    /// [`Error::LinkInvalid`], [`Error::LinkExpired`]; [`Error::PasswordRefused`], after which the link still
    /// works; [`Error::Busy`], [`Error::Unavailable`].
    pub async fn reset_password(&self, token: Token, password: String, origin: Origin) -> Result<(), Error> {
        let digest = token.digest();
        let proposed = Proposed::new(&password)?;
        let link = self
            .find_link(digest, &[Purpose::PasswordReset, Purpose::Invitation])
            .await?;
        // Judging and hashing hold no connection.
        let about = vec![link.user.name, link.user.email];
        let hash = self
            .hasher
            .hash_proposed(proposed, about, origin.networks())
            .await??;
        let (is_mailed, policy) = (self.policy.mail.is_on(), self.policy.sessions);
        self.use_link(digest, link.purpose, origin, move |conn, link, origin| {
            let user = &link.user;
            users::set_verified(conn, user.id)?;
            let ended = replace_password(conn, user, &hash, &policy)?;
            if is_mailed && link.purpose == Purpose::PasswordReset {
                tell_of_change(conn, user, origin)?;
            }
            Ok(ended)
        })
        .await
    }

    /// Verifies the address to which a link was mailed.
    ///
    /// # Errors
    /// [`Error::LinkInvalid`], [`Error::LinkExpired`]; [`Error::Unavailable`].
    pub async fn verify_by_link(&self, token: Token, origin: Origin) -> Result<(), Error> {
        self.use_link(token.digest(), Purpose::Verification, origin, |conn, link, _| {
            users::set_verified(conn, link.user.id)?;
            link::discard(conn, link.user.id, Purpose::Verification)?;
            Ok(Vec::new())
        })
        .await
    }

    /// Changes the password of a signed-in user who knows the current one, and ends their session.
    ///
    /// # Errors
    /// [`Error::PasswordRefused`], [`Error::AccountLocked`], [`Error::WrongPassword`], which counts as a
    /// failed sign-in; those of [`Authority`] when the session ended meanwhile; [`Error::Busy`],
    /// [`Error::Unavailable`].
    pub async fn change_password(&self, holder: Holder, current: Password, new: String) -> Result<(), Error> {
        let new = Proposed::new(&new)?;
        let claim = Claim::Change(holder.clone());
        let change = async |checked| {
            // Only a caller that knows the present password is told.
            new.differs_from(&current)?;
            self.change_to(new.clone(), checked, holder.clone()).await
        };
        let done = self.with_password(&claim, &current, change).await;
        self.answer_after_wait(done).await
    }

    /// Changes the password after the current one was checked. Returns `None` if the stored hash or the
    /// address changed during the check.
    async fn change_to(
        &self,
        new: Proposed,
        checked: CheckedPassword,
        holder: Holder,
    ) -> Result<Option<()>, Error> {
        // This is costly: only a caller that knows the current password gets here.
        let about = vec![checked.found.user.name.clone(), checked.found.user.email.clone()];
        let origin = holder.origin.clone();
        let hash = self.hasher.hash_proposed(new, about, origin.networks()).await??;
        let (is_mailed, policy) = (self.policy.mail.is_on(), self.policy.sessions);
        let subject = Subject::User(holder.user.into());
        let change = move |conn: &mut PgConnection, found: Option<Credentials>| {
            let found = found.ok_or(Error::TokenInvalid)?;
            let confirmed = checked.confirm_row(conn, found);
            let Some(user) = confirmed.inspect_err(|error| checked.log_refusal(error))? else {
                return Ok(None);
            };
            let ended = replace_password(conn, &user, &hash, &policy)?;
            if is_mailed {
                tell_of_change(conn, &user, &origin)?;
            }
            Ok(Some((user.id, ended)))
        };
        let tell = |done: &Option<(Uuid, Vec<EndedSession>)>, by| {
            if let Some((user, ended)) = done {
                audit::user_changed(Event::PasswordChanged, *user, by);
                audit::ended(ended, by);
            }
        };
        let done = self
            .act_without_wait(Authority::Own(holder), subject, change, tell)
            .await?;
        Ok(done.map(drop))
    }

    /// Counts the mails that wait to be sent. Of invitations it counts all, or only those to the address
    /// `to`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn waiting_mails(&self, to: Option<Email>) -> Result<Waiting, Error> {
        self.query(move |conn| {
            let digest = to.as_ref().map(Email::digest);
            outbox::waiting(conn, digest.as_ref())
        })
        .await
    }

    /// Is mail configured?
    pub fn sends_mail(&self) -> bool {
        self.policy.mail.is_on()
    }

    /// Does a sign-in ask before it ends the user's other session?
    pub fn asks_before_takeover(&self) -> bool {
        self.policy.takeover == TakeoverPolicy::Ask
    }

    /// Fails if no mail server is configured.
    ///
    /// # Errors
    /// [`Error::NoMail`].
    pub fn needs_mail(&self) -> Result<(), Error> {
        self.sends_mail().then_some(()).ok_or(Error::NoMail)
    }
}

fn tell_of_change(conn: &mut PgConnection, user: &User, origin: &Origin) -> Result<(), Error> {
    let digest = email_of(user).digest();
    outbox::post(conn, &digest, Kind::PasswordChanged, &happening(origin))?;
    Ok(())
}

/// The origin of an event, as a mail describes it.
pub(super) fn happening(origin: &Origin) -> Happening {
    Happening {
        ip_address: Some(origin.network()),
        user_agent: origin.user_agent().map(str::to_owned),
        ..Happening::default()
    }
}
