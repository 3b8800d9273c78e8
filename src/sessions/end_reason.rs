//! Why a session ended.

use std::fmt;

/// Every way a session can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The user signed out.
    SignedOut,
    /// The page that held the token was closed or reloaded.
    PageClosed,
    /// The user signed in elsewhere.
    Replaced,
    /// An operator ended it.
    Revoked,
    /// The user's password was changed.
    PasswordChanged,
    /// The user's account was disabled or removed.
    AccountDisabled,
}

impl EndReason {
    /// The reason's name in logs, bodies and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::PageClosed => "page_closed",
            Self::Replaced => "replaced",
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
