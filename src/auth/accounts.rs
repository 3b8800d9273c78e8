//! What operators do to accounts. Whatever takes the right to be signed in away also ends the session, in the same
//! transaction.

use diesel::Connection;
use diesel::pg::PgConnection;
use uuid::Uuid;

use super::audit::{self, Actor};
use super::{Auth, Error};
use crate::sessions::EndReason;
use crate::sessions::history::{self, Which};
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
                users::create(conn, &new)?.ok_or_else(|| Error::EmailTaken(new.email.to_string()))
            })
            .await
    }

    /// Sets a password, lifts the lock and ends the session.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn set_password(&self, email: Email, password: Password) -> Result<(), Error> {
        let hash = self.hasher.hash(password).await?;
        let ended = self
            .with_user(email.clone(), move |conn, user| {
                users::set_password(conn, user.id, &hash)?;
                lockout::clear(conn, &email)?;
                Ok(history::end(
                    conn,
                    Which::OfUser(user.id),
                    EndReason::PasswordChanged,
                )?)
            })
            .await?;
        audit::ended(&ended, Actor::Operator);
        Ok(())
    }

    /// Marks the address as known to be the user's.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn verify_email(&self, email: Email) -> Result<(), Error> {
        self.with_user(email, |conn, user| {
            users::set_verified(conn, user.id)?;
            Ok(())
        })
        .await
    }

    /// Forgets the failures of an address, whether or not an account stands behind it. Returns whether there were any.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn unlock(&self, email: Email) -> Result<bool, Error> {
        self.db
            .run(move |conn| lockout::clear(conn, &email).map_err(Error::from))
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
                lockout::clear(conn, &user.email.parse().map_err(|_| no_such_user())?)?;
                Ok::<_, Error>(())
            })
            .await?;
        audit::user_changed("authn_login_unlock", id, by);
        Ok(())
    }

    /// Forbids signing in, and ends the session.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn disable(&self, email: Email) -> Result<(), Error> {
        let ended = self
            .with_user(email, |conn, user| {
                users::disable(conn, user.id)?;
                Ok(history::end(
                    conn,
                    Which::OfUser(user.id),
                    EndReason::AccountDisabled,
                )?)
            })
            .await?;
        audit::ended(&ended, Actor::Operator);
        Ok(())
    }

    /// Allows signing in again.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn enable(&self, email: Email) -> Result<(), Error> {
        self.with_user(email, |conn, user| {
            users::enable(conn, user.id)?;
            Ok(())
        })
        .await
    }

    /// Deletes the account, and ends the session.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn remove_user(&self, email: Email) -> Result<(), Error> {
        let ended = self
            .with_user(email, |conn, user| {
                let ended = history::end(conn, Which::OfUser(user.id), EndReason::AccountDisabled)?;
                users::remove(conn, user.id)?;
                Ok(ended)
            })
            .await?;
        audit::ended(&ended, Actor::Operator);
        Ok(())
    }

    /// Ends the session of the user with this address.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::NoSuchSession`]; [`Error::Unavailable`].
    pub async fn revoke_of_email(&self, email: Email) -> Result<(), Error> {
        let user = self.with_user(email, |_, user| Ok(user.id)).await?;
        self.revoke_of(user, Actor::Operator).await
    }

    /// One transaction around a user whose row is locked: no sign-in comes between.
    async fn with_user<T: Send + 'static>(
        &self,
        email: Email,
        act: impl FnOnce(&mut PgConnection, &User) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.db
            .run(move |conn| {
                conn.transaction(|conn| {
                    let no_such_user = || Error::NoSuchUser(email.to_string());
                    let found = users::find(conn, &email)?.ok_or_else(no_such_user)?;
                    let locked = users::lock(conn, found.id)?.ok_or_else(no_such_user)?;
                    act(conn, &locked.user)
                })
            })
            .await
    }
}
