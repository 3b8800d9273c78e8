//! What a mail is about.

use std::fmt;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;

/// Every mail that is sent; `mails_kind_known` holds the database to them.
#[derive(AsExpression, FromSqlRow, Clone, Copy, Debug, PartialEq, Eq)]
#[diesel(sql_type = Text)]
pub enum Kind {
    /// Come in, and choose a password.
    Invitation,
    /// Is this address yours?
    Verification,
    /// Choose a new password.
    PasswordReset,
    /// Your password is another one now.
    PasswordChanged,
    /// Somebody took your seat from where you have not been seen before.
    NewSignIn,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [
        Self::Invitation,
        Self::Verification,
        Self::PasswordReset,
        Self::PasswordChanged,
        Self::NewSignIn,
    ];

    /// The kind's name in the database and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Verification => "verification",
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
            Self::NewSignIn => "new_sign_in",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ToSql<Text, Pg> for Kind {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <str as ToSql<Text, Pg>>::to_sql(self.as_str(), out)
    }
}

impl FromSql<Text, Pg> for Kind {
    fn from_sql(bytes: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let name = std::str::from_utf8(bytes.as_bytes())?;
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| format!("no kind of mail: {name}").into())
    }
}
