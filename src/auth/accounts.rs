//! What operators do to accounts. Whatever takes the right to be signed in away also ends the session, in the same
//! transaction.

use diesel::Connection;
use diesel::pg::PgConnection;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::{Auth, Error};
use crate::sessions::history::{self, Which};
use crate::sessions::{EndReason, EndedSession};
use crate::users::store::{self as users, NewUser};
use crate::users::{Email, Password, Role, User, lockout};

/// A new account, with its password in clear for as long as it takes to hash it.
#[derive(Debug)]
pub struct NewAccount {
    /// 1 to 200 characters.
    pub name: String,
    /// Not in use yet.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// Whether the address is known to be theirs.
    pub email_verified: bool,
    /// See [`Password::chosen`].
    pub password: Password,
}

impl Auth {
    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::EmailTaken`]; [`Error::Unavailable`].
    pub async fn add_user(&self, account: NewAccount) -> Result<User, Error> {
        let password_hash = self.hasher.hash(account.password).await?;
        let new = NewUser {
            name: account.name,
            email: account.email,
            role: account.role,
            email_verified: account.email_verified,
            password_hash,
        };
        self.db
            .run(move |conn| {
                let user =
                    users::create(conn, &new)?.ok_or_else(|| Error::EmailTaken(new.email.to_string()))?;
                audit::user_changed("user_created", user.id, Actor::Operator);
                Ok(user)
            })
            .await
    }

    /// Sets a password, lifts the lock and ends the session.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn set_password(&self, email: Email, password: Password) -> Result<(), Error> {
        let hash = self.hasher.hash(password).await?;
        self.change("authn_password_change", email.clone(), move |conn, user| {
            users::set_password(conn, user.id, &hash)?;
            lockout::clear(conn, &email)?;
            Ok(history::end(
                conn,
                Which::OfUser(user.id),
                EndReason::PasswordChanged,
            )?)
        })
        .await
    }

    /// Marks the address as known to be the user's.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn verify_email(&self, email: Email) -> Result<(), Error> {
        self.change("user_verified", email, |conn, user| {
            users::set_verified(conn, user.id)?;
            Ok(Vec::new())
        })
        .await
    }

    /// Forgets the failures of an address, whether or not an account stands behind it. Returns whether there were any.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn unlock(&self, email: Email) -> Result<bool, Error> {
        self.db
            .run(move |conn| {
                let had_failures = lockout::clear(conn, &email)?;
                audit::unlocked(&email, Actor::Operator);
                Ok::<_, Error>(had_failures)
            })
            .await
    }

    /// The same for the address of a user.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn unlock_user(&self, id: Uuid, by: Actor) -> Result<(), Error> {
        self.db
            .run(move |conn| {
                let no_such_user = || Error::NoSuchUser(id.to_string());
                let user = users::find_by_id(conn, id)?.ok_or_else(no_such_user)?;
                let email: Email = user.email.parse().map_err(|_| no_such_user())?;
                lockout::clear(conn, &email)?;
                audit::unlocked(&email, by);
                Ok::<_, Error>(())
            })
            .await
    }

    /// Forbids signing in, and ends the session.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn disable(&self, email: Email) -> Result<(), Error> {
        self.change("user_disabled", email, |conn, user| {
            users::disable(conn, user.id)?;
            Ok(history::end(
                conn,
                Which::OfUser(user.id),
                EndReason::AccountDisabled,
            )?)
        })
        .await
    }

    /// Allows signing in again.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn enable(&self, email: Email) -> Result<(), Error> {
        self.change("user_enabled", email, |conn, user| {
            users::enable(conn, user.id)?;
            Ok(Vec::new())
        })
        .await
    }

    /// Deletes the account, and ends the session.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn remove_user(&self, email: Email) -> Result<(), Error> {
        self.change("user_deleted", email, |conn, user| {
            let ended = history::end(conn, Which::OfUser(user.id), EndReason::AccountDisabled)?;
            users::remove(conn, user.id)?;
            Ok(ended)
        })
        .await
    }

    /// Ends the session of the user with this address.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::NoSuchSession`]; [`Error::Unavailable`].
    pub async fn revoke_of_email(&self, email: Email) -> Result<(), Error> {
        let user = self
            .db
            .run(move |conn| users::find(conn, &email)?.ok_or_else(|| Error::NoSuchUser(email.to_string())))
            .await?;
        self.revoke_of(user.id, Actor::Operator).await
    }

    /// One transaction around a user whose row is locked: no sign-in comes between. Writes down what was done, and which
    /// session ended by it.
    async fn change(
        &self,
        what: &'static str,
        email: Email,
        act: impl FnOnce(&mut PgConnection, &User) -> Result<Vec<EndedSession>, Error> + Send + 'static,
    ) -> Result<(), Error> {
        self.db
            .run(move |conn| {
                let (user, ended) = conn.transaction::<_, Error, _>(|conn| {
                    let no_such_user = || Error::NoSuchUser(email.to_string());
                    let found = users::find(conn, &email)?.ok_or_else(no_such_user)?;
                    let locked = users::lock(conn, found.id)?.ok_or_else(no_such_user)?;
                    let ended = act(conn, &locked.user)?;
                    Ok((locked.user, ended))
                })?;
                audit::user_changed(what, user.id, Actor::Operator);
                audit::ended(&ended, Actor::Operator);
                Ok(())
            })
            .await
    }
}
