//! Lists of live sessions, past sessions and accounts.

mod accounts;
mod pagination;
mod sessions;
mod undelivered;

pub use accounts::Account;
pub use pagination::{Cursor, LARGEST_PAGE, Page, Search};
pub(super) use sessions::matching_others;
pub use undelivered::Undelivered;
