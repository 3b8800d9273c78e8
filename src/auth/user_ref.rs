//! A reference to an account: operators name it by its address, admins by its id.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::Error;
use crate::db::PgConnection;
use crate::users::{Email, NotAnEmail, store as users};

/// A reference to an account.
#[derive(Clone, Debug)]
pub enum UserRef {
    /// The account with this address.
    Email(Email),
    /// The account with this id.
    Id(Uuid),
}

impl UserRef {
    /// The id, unless no account has the address.
    pub(super) fn id(&self, conn: &mut PgConnection) -> Result<Option<Uuid>, Error> {
        match self {
            Self::Email(email) => Ok(users::find(conn, email)?.map(|user| user.id)),
            Self::Id(id) => Ok(Some(*id)),
        }
    }

    /// The error for a missing account.
    pub(super) fn unknown(&self) -> Error {
        Error::NoSuchUser(self.to_string())
    }
}

impl From<Email> for UserRef {
    fn from(email: Email) -> Self {
        Self::Email(email)
    }
}

impl From<Uuid> for UserRef {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl FromStr for UserRef {
    type Err = NotAnEmail;

    /// An address, or an id.
    fn from_str(text: &str) -> Result<Self, NotAnEmail> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => Ok(Self::Email(text.parse()?)),
        }
    }
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(email) => email.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}
