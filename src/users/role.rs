//! Roles: what a user may do.

use crate::words::words;

words! {
    /// The two roles. The constraint `users_role_known` allows no others.
    pub enum Role {
        /// Signs in and sees their own data.
        User = "user",
        /// Sees and ends the sessions of all users.
        Admin = "admin",
    }
}
