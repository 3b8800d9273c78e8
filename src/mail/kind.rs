//! What a mail is about.

use crate::words::words;

words! {
    /// Every mail that is sent; `mails_kind_known` holds the database to them.
    pub enum Kind {
        /// Come in, and choose a password.
        Invitation = "invitation",
        /// Is this address yours?
        Verification = "verification",
        /// Choose a new password.
        PasswordReset = "password_reset",
        /// Your password is another one now.
        PasswordChanged = "password_changed",
        /// Somebody took your seat from where you have not been seen before.
        NewSignIn = "new_sign_in",
    }
}
