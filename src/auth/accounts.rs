//! What operators do to accounts. Whatever takes the right to be signed in away also ends the session, in the same
//! transaction.

use diesel::Connection;
use diesel::pg::PgConnection;

use super::{Auth, Error, log_end};
use crate::sessions::{EndReason, store as sessions};
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
                Ok(sessions::end_of_user(conn, user.id)?)
            })
            .await?;
        log_end(ended.as_slice(), EndReason::PasswordChanged);
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

    /// Forbids signing in, and ends the session.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`]; [`Error::Unavailable`].
    pub async fn disable(&self, email: Email) -> Result<(), Error> {
        let ended = self
            .with_user(email, |conn, user| {
                users::disable(conn, user.id)?;
                Ok(sessions::end_of_user(conn, user.id)?)
            })
            .await?;
        log_end(ended.as_slice(), EndReason::AccountDisabled);
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
                let ended = sessions::end_of_user(conn, user.id)?;
                users::remove(conn, user.id)?;
                Ok(ended)
            })
            .await?;
        log_end(ended.as_slice(), EndReason::AccountDisabled);
        Ok(())
    }

    /// Ends the session a user has.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::NoSuchSession`]; [`Error::Unavailable`].
    pub async fn revoke_of_user(&self, email: Email) -> Result<(), Error> {
        let ended = self
            .with_user(email, |conn, user| {
                sessions::end_of_user(conn, user.id)?.ok_or(Error::NoSuchSession)
            })
            .await?;
        log_end(&[ended], EndReason::Revoked);
        Ok(())
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
