//! Users: accounts, passwords, and the lock that stops guessing.
//!
//! This module knows no sessions; [`crate::auth`] combines the two.

mod account_state;
mod email;
pub mod hasher;
pub mod link;
pub mod lockout;
mod name;
mod password;
mod password_hash;
mod role;
pub mod service_client;
pub mod spelling;
pub mod store;
mod strength;

pub use account_state::AccountState;
pub use email::{Email, NotAnEmail, email_digest, short_digest};
pub use hasher::Hasher;
pub use name::{Name, NotAName};
pub use password::{Password, Proposed, Unusable};
pub use password_hash::{Match, PasswordHash};
pub use role::Role;
pub use store::User;
