//! Whether an account may be used.

use super::User;
use crate::words::words;

words! {
    /// The one word for what an admin has to know first.
    pub enum AccountState {
        /// May sign in.
        Active = "active",
        /// Has not chosen a password yet.
        Invited = "invited",
        /// Has not shown that the address is theirs.
        Unverified = "unverified",
        /// May not sign in.
        Disabled = "disabled",
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
