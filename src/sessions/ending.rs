//! Why and when a session ended (law 6).

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;
use uuid::Uuid;

/// Every way a session can end; `ended_sessions_reason_known` holds the database to them.
#[derive(AsExpression, FromSqlRow, Clone, Copy, Debug, PartialEq, Eq)]
#[diesel(sql_type = Text)]
pub enum EndReason {
    /// The user signed out.
    SignedOut,
    /// The page that held the token was closed or reloaded.
    PageClosed,
    /// The user signed in elsewhere.
    Replaced,
    /// Its time was up.
    Expired,
    /// An admin or operator ended it.
    Revoked,
    /// The user's password was changed.
    PasswordChanged,
    /// The user's account was disabled or removed.
    AccountDisabled,
}

/// What is told of an ended session to whoever held it; nothing about who took the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The session that ended.
    pub session: Uuid,
    /// Why.
    pub reason: EndReason,
    /// When; for an expired one the moment its time was up.
    pub at: DateTime<Utc>,
}

impl EndReason {
    /// All of them, in the order in which people read them.
    pub const ALL: [Self; 7] = [
        Self::SignedOut,
        Self::PageClosed,
        Self::Replaced,
        Self::Expired,
        Self::Revoked,
        Self::PasswordChanged,
        Self::AccountDisabled,
    ];

    /// The reason's name in logs, bodies and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::PageClosed => "page_closed",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::PasswordChanged => "password_changed",
            Self::AccountDisabled => "account_disabled",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EndReason {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

impl ToSql<Text, Pg> for EndReason {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <str as ToSql<Text, Pg>>::to_sql(self.as_str(), out)
    }
}

impl FromSql<Text, Pg> for EndReason {
    fn from_sql(bytes: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(std::str::from_utf8(bytes.as_bytes())?.parse()?)
    }
}
