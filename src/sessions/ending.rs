//! Why and when a session ended (law 6).

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::words::words;

words! {
    /// The ways a session can end. The constraint `ended_sessions_reason_known` allows no others.
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
    }
}

/// What the client of an ended session may know. It says nothing about the client that took the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whose session it was.
    pub user: Uuid,
    /// The session that ended.
    pub session: Uuid,
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended; for an expired session the moment of expiry.
    pub at: DateTime<Utc>,
}
