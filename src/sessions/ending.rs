//! Why and when a session ended (law 6).

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use crate::db::schema::ended_sessions;
use crate::words::words;

words! {
    /// The ways a session can end. The constraint `ended_sessions_reason_known` allows no other words.
    pub enum EndReason {
        /// The user signed out.
        SignedOut = "signed_out",
        /// The page that held the token was closed or reloaded.
        PageClosed = "page_closed",
        /// The user signed in elsewhere.
        Replaced = "replaced",
        /// It expired.
        Expired = "expired",
        /// An admin or operator ended it.
        Revoked = "revoked",
        /// The user's password was changed.
        PasswordChanged = "password_changed",
        /// The user's account was disabled or removed.
        AccountDisabled = "account_disabled",
        /// A restored backup had brought the session back. It may have ended after the backup was made.
        Restored = "restored",
        _ => Unknown = "unknown",
    }
}

impl EndReason {
    /// The reason in words, as lists show it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::SignedOut => "Signed out",
            Self::PageClosed => "Page closed",
            Self::Replaced => "Signed in elsewhere",
            Self::Expired => "Expired",
            Self::Revoked => "Ended by an admin",
            Self::PasswordChanged => "Password changed",
            Self::AccountDisabled => "Account disabled",
            Self::Restored => "Backup restored",
            Self::Unknown => "Ended",
        }
    }
}

/// What the client of an ended session may learn. It says nothing about the client of the session that
/// replaced it.
#[derive(Queryable, Selectable, Clone, Copy, Debug, PartialEq, Eq)]
#[diesel(table_name = ended_sessions, check_for_backend(diesel::pg::Pg))]
pub struct Ending {
    /// The session's user.
    #[diesel(column_name = user_id)]
    pub user: Uuid,
    /// The session that ended.
    #[diesel(column_name = id)]
    pub session: Uuid,
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended; for an expired session the moment of expiry.
    #[diesel(column_name = ended_at)]
    pub at: DateTime<Utc>,
}
