//! What a user may do.

use crate::words::words;

words! {
    /// The two roles; `users_role_known` holds the database to them.
    pub enum Role {
        /// Signs in, and sees what is their own.
        User = "user",
        /// Sees and ends everybody's sessions.
        Admin = "admin",
    }
}
