//! Why and when a session ended (law 6).

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::words::words;

words! {
    /// Every way a session can end; `ended_sessions_reason_known` holds the database to them.
    pub enum EndReason {
        /// The user signed out.
        SignedOut = "signed_out",
        /// The page that held the token was closed or reloaded.
        PageClosed = "page_closed",
        /// The user signed in elsewhere.
        Replaced = "replaced",
        /// Its time was up.
        Expired = "expired",
        /// An admin or operator ended it.
        Revoked = "revoked",
        /// The user's password was changed.
        PasswordChanged = "password_changed",
        /// The user's account was disabled or removed.
        AccountDisabled = "account_disabled",
    }
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
