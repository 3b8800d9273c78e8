//! Lists for people: live sessions, past sessions, accounts.

mod accounts;
mod pagination;
mod sessions;

pub use accounts::{Account, State};
pub use pagination::{Cursor, LARGEST_PAGE, Page, Search};
pub use sessions::Profile;
