//! One seat: a user has at most one live session. PostgreSQL enforces it (`sessions_user_id_key`); this
//! module explains it.
//!
//! In this module a user is only an id; [`crate::auth`] joins sessions and users.

mod device;
mod ending;
pub mod feed;
pub mod history;
pub mod known_origins;
pub mod memory;
mod origin;
pub mod page_marks;
pub mod pages;
pub mod replacement;
pub mod store;

pub mod watchers;

pub use device::Device;
pub use ending::{EndReason, Ending};
pub use history::EndedSession;
pub use origin::Origin;
pub use replacement::Replacement;
pub use store::{HeldSeat, Session};
