//! One seat: a user has at most one live session. PostgreSQL enforces it (`sessions_user_id_key`); this module
//! explains it.
//!
//! Nothing here knows who a user is beyond an id; [`crate::auth`] brings the two together.

mod ending;
pub mod history;
pub mod listener;
mod origin;
pub mod store;
pub mod sweeper;
mod token;
pub mod watchers;

pub use ending::{EndReason, Ending};
pub use history::EndedSession;
pub use origin::Origin;
pub use store::Session;
pub use token::{Token, TokenDigest};
