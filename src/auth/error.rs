//! What can go wrong, in domain words.
//!
//! Which error belongs where: stores return Diesel's own; `db` turns what is no answer into [`Unavailable`];
//! this module's [`Error`] is what every use case returns; `web::problem` turns it into HTTP, `cli` into a sentence.

use crate::db::Unavailable;
use crate::sessions::Ending;
use crate::users::{Unusable, hasher};

/// The constraint that keeps the last admin who can sign in.
const LAST_ADMIN_STAYS: &str = "users_last_admin_stays";

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address and password do not belong together, whether or not the address is known.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// Too many wrong passwords for this address; says nothing about this one.
    #[error("account is locked")]
    AccountLocked,
    /// Right password, but the address was never verified.
    #[error("email is not verified")]
    EmailUnverified,
    /// Right password, but the account was disabled.
    #[error("account is disabled")]
    AccountDisabled,
    /// The signed-in user's own password is another one.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The new password cannot be one.
    #[error(transparent)]
    PasswordRefused(#[from] Unusable),
    /// The link is none, was used, replaced by a later one, or its time is up.
    #[error("the link is no longer valid")]
    LinkInvalid,
    /// No way to send mail is configured.
    #[error("this server sends no mail")]
    NoMail,
    /// No service has this id and secret.
    #[error("the service's id or secret is wrong")]
    ClientUnknown,
    /// A service has this name already.
    #[error("there is a service {0} already; `oneseat client list` shows all")]
    NameTaken(String),
    /// No service has this name.
    #[error("there is no service {0}; `oneseat client list` shows all")]
    NoSuchClient(String),
    /// What was asked for needs a role that its user has lost.
    #[error("this needs the admin role")]
    Forbidden,
    /// Nobody disables the account with which they do it.
    #[error("this is your own account")]
    OwnAccount,
    /// Nobody would be left to administer.
    #[error(
        "this is the last admin who can sign in; add another admin first, or do it all the same with --last-admin"
    )]
    LastAdmin,
    /// No session that anybody remembers has or had this token.
    #[error("invalid or expired session")]
    TokenInvalid,
    /// The session that had this token ended.
    #[error("session ended: {}", .0.reason)]
    SessionEnded(Ending),
    /// No account has this address.
    #[error("there is no user {0}; `oneseat user list` shows all")]
    NoSuchUser(String),
    /// An account has this address already.
    #[error("there is a user {0} already; `oneseat user show {0}` shows it")]
    EmailTaken(String),
    /// No live session has this id, or its user has none.
    #[error("there is no such live session; `oneseat session list` shows all")]
    NoSuchSession,
    /// More passwords are waiting than can be checked in good time.
    #[error("too many sign-ins at once")]
    Busy,
    /// Nothing was decided (law 5).
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl From<Unavailable> for Error {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

// A query that fails decided nothing: its transaction is rolled back.
impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::Error::DatabaseError;
        match &error {
            DatabaseError(_, told) if told.constraint_name() == Some(LAST_ADMIN_STAYS) => Self::LastAdmin,
            _ => Unavailable::from(error).into(),
        }
    }
}

impl From<hasher::Error> for Error {
    fn from(error: hasher::Error) -> Self {
        match error {
            hasher::Error::Busy => Self::Busy,
            hasher::Error::Failed => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<rand::rngs::SysError> for Error {
    fn from(error: rand::rngs::SysError) -> Self {
        Self::Unavailable(format!("no randomness: {error}"))
    }
}
