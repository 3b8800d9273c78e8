//! Lists for people: live sessions, past sessions, accounts.

mod accounts;
mod pagination;
mod sessions;

pub use accounts::Account;
pub use pagination::{Cursor, LARGEST_PAGE, Page, Search};
