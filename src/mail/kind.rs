//! The kinds of mail.

use crate::words::words;

words! {
    /// The kinds of mail that are sent. The constraint `mails_kind_known` allows no others.
    pub enum Kind {
        /// Invites a user to choose their first password.
        Invitation = "invitation",
        /// Asks a user to verify their address.
        Verification = "verification",
        /// Lets a user choose a new password.
        PasswordReset = "password_reset",
        /// Tells a user that their password was changed.
        PasswordChanged = "password_changed",
        /// Tells a user of a sign-in from a new place.
        NewSignIn = "new_sign_in",
        /// Asks the reader at a new address to confirm it for an account.
        EmailChange = "email_change",
        /// Tells a user, at their present address, that another one was asked for.
        EmailChangeRequested = "email_change_requested",
        /// Tells a user, at their former address, that their account has another one.
        EmailChanged = "email_changed",
    }
}

impl Kind {
    /// The kind as lists show it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Invitation => "Invitation",
            Self::Verification => "Link to verify the address",
            Self::PasswordReset => "Link for a new password",
            Self::EmailChange => "Link to confirm the address",
            Self::PasswordChanged => "Notice of a new password",
            Self::NewSignIn => "Notice of a sign-in",
            Self::EmailChangeRequested => "Notice of a change of address",
            Self::EmailChanged => "Notice of a new address",
        }
    }
}
