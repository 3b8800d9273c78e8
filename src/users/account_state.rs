//! Whether an account may be used.

use super::User;
use crate::words::words;

words! {
    /// The state of an account. If several apply, the one that an admin has to know first.
    pub enum AccountState {
        /// The user may sign in.
        Active = "active",
        /// The user is invited to choose a password, and has not chosen one yet.
        Invited = "invited",
        /// The user has no password, and no invitation to choose one.
        NoPassword = "no_password",
        /// The user has not verified the address.
        Unverified = "unverified",
        /// The user may not sign in.
        Disabled = "disabled",
    }
}

/// Whether a user has a password, or may choose one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordState {
    /// The user has a password.
    Chosen,
    /// The user has no password, but an invitation to choose one.
    Invited,
    /// The user has no password: the account was imported without one, or the invitation is too old.
    Missing,
}

impl AccountState {
    /// The state in words, as lists show it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Invited => "Invited",
            Self::NoPassword => "No password",
            Self::Unverified => "Not verified",
            Self::Disabled => "Disabled",
        }
    }
}

impl User {
    /// Whether the user may sign in, or why not.
    pub fn state(&self, password: PasswordState) -> AccountState {
        match password {
            _ if self.disabled_at.is_some() => AccountState::Disabled,
            PasswordState::Invited => AccountState::Invited,
            PasswordState::Missing => AccountState::NoPassword,
            PasswordState::Chosen if !self.email_verified => AccountState::Unverified,
            PasswordState::Chosen => AccountState::Active,
        }
    }
}
