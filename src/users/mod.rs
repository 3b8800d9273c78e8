//! Users: accounts, passwords, and the lock that stops guessing.
//!
//! This module knows no sessions; [`crate::auth`] joins users and sessions.

mod account_state;
pub mod address;
mod email;
mod foreign_hash;
pub mod hasher;
pub mod import;
pub mod link;
pub mod lockout;
mod name;
mod password;
mod password_hash;
pub mod plain;
mod role;
pub mod service_client;
pub mod spelling;
pub mod store;
mod strength;

pub use account_state::{AccountState, PasswordState};
pub use email::{Email, NotAnEmail, email_digest, short_digest};
pub use foreign_hash::UnusableHash;
pub use hasher::{Hasher, Verdict};
pub use name::{Name, NotAName};
pub use password::{LONGEST_TYPED, Password, Proposed, Unusable};
pub use password_hash::{Match, PasswordHash};
pub use role::Role;
pub use store::User;
