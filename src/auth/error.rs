//! The errors of the use cases, in domain words.
//!
//! Each layer has its own error: stores return Diesel's; `db` turns a missing answer into [`Unavailable`];
//! every use case returns this module's [`Error`]; `web::problem` turns that into HTTP, and `cli` into a
//! sentence.

use crate::db::Unavailable;
use crate::sessions::{Ending, HeldSeat};
use crate::users::{Unusable, hasher};

/// The constraint that keeps the last admin who can sign in.
const LAST_ADMIN_STAYS: &str = "users_last_admin_stays";

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address and password do not belong together, whether or not the address is known.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// Too many wrong passwords for this address; this one may be right or wrong.
    #[error("account is locked")]
    AccountLocked,
    /// The password is right, but the address was never verified.
    #[error("email is not verified")]
    EmailUnverified,
    /// The password is right, but the account is disabled.
    #[error("account is disabled")]
    AccountDisabled,
    /// The password is right, but the user has a live session, and the sign-in does not say that it replaces
    /// it.
    #[error("the seat is taken")]
    SeatTaken(HeldSeat),
    /// The signed-in user gave a wrong current password.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The new password is not acceptable.
    #[error(transparent)]
    PasswordRefused(#[from] Unusable),
    /// The link is unknown, used, expired, or replaced by a later one.
    #[error("the link is no longer valid")]
    LinkInvalid,
    /// The link was valid once, and its time is over.
    #[error("the link is too old")]
    LinkExpired,
    /// The user has this address already.
    #[error("this is the address of the account already")]
    SameEmail,
    /// The user has asked for as many changes of address as an hour allows.
    #[error("too many changes of address were asked for")]
    TooManyChanges,
    /// No mail server is configured.
    #[error("this server sends no mail")]
    NoMail,
    /// The address needs SMTPUTF8, and the mail server is not known to have it.
    #[error(
        "{0} has letters beyond ASCII before the @, and only a mail server with SMTPUTF8 takes mail for it; \
         use another address, or say that yours has it: --smtp-utf8 on"
    )]
    NeedsSmtpUtf8(String),
    /// No service has this id and secret.
    #[error("the service's id or secret is wrong")]
    ClientUnknown,
    /// A service has this name already.
    #[error("there is a service {0} already; `oneseat client list` shows all")]
    NameTaken(String),
    /// No service has this name.
    #[error("there is no service {0}; `oneseat client list` shows all")]
    NoSuchClient(String),
    /// The action needs a role that the user has lost.
    #[error("this needs the admin role")]
    Forbidden,
    /// Admins cannot disable, demote or remove their own account.
    #[error("this is your own account")]
    OwnAccount,
    /// No admin who can sign in would be left.
    #[error(
        "this is the last admin who can sign in; add another admin first, or do it all the same with --last-admin"
    )]
    LastAdmin,
    /// No live session has this token, and the history has no ended one that had it.
    #[error("invalid or expired session")]
    TokenInvalid,
    /// The session of this token has ended.
    #[error("session ended: {}", .0.reason)]
    SessionEnded(Ending),
    /// No account has this address.
    #[error("there is no user {0}; `oneseat user list` shows all")]
    NoSuchUser(String),
    /// An account has this address already.
    #[error("there is a user {0} already; `oneseat user show {0}` shows it")]
    EmailTaken(String),
    /// No live session has this id, or the user has no live session.
    #[error("there is no such live session; `oneseat session list` shows all")]
    NoSuchSession,
    /// More sessions live than were to end at most: this many. None was ended.
    #[error("there are {0} sessions by now, more than expected")]
    MoreThanExpected(usize),
    /// More passwords wait than can be checked in good time.
    #[error("too many sign-ins at once")]
    Busy,
    /// The server could not decide, for example because the database did not answer (law 5).
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl Error {
    /// Whether the error is a decision, and not only a failure to decide.
    pub(super) fn is_decided(&self) -> bool {
        !matches!(self, Self::Busy | Self::Unavailable(_))
    }
}

impl From<Unavailable> for Error {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

// A failed query decided nothing: its transaction is rolled back.
impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::Error::DatabaseError;
        match &error {
            DatabaseError(_, info) if info.constraint_name() == Some(LAST_ADMIN_STAYS) => Self::LastAdmin,
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
