//! Whether an account may be used.

use super::User;
use crate::words::words;

words! {
    /// The state of an account: the one that an admin has to know first.
    pub enum AccountState {
        /// The user may sign in.
        Active = "active",
        /// The user has not chosen a password yet.
        Invited = "invited",
        /// The user has not verified the address.
        Unverified = "unverified",
        /// The user may not sign in.
        Disabled = "disabled",
    }
}

impl AccountState {
    /// The state in words, as lists show it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Invited => "Invited",
            Self::Unverified => "Not verified",
            Self::Disabled => "Disabled",
        }
    }
}

impl User {
    /// Whether the user may sign in, or why not.
    pub fn state(&self, has_password: bool) -> AccountState {
        if self.disabled_at.is_some() {
            AccountState::Disabled
        } else if !has_password {
            AccountState::Invited
        } else if !self.email_verified {
            AccountState::Unverified
        } else {
            AccountState::Active
        }
    }
}
