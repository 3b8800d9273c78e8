//! Lists of live sessions, past sessions and accounts.

mod accounts;
mod keys;
mod pagination;
mod plain;
mod search;
mod sessions;
mod undelivered;

pub use accounts::Account;
pub(super) use accounts::find_account;
pub use pagination::{Counted, Cursor, LARGEST_PAGE, List, NotACursor, Page, Position};
pub use plain::plain_letters;
pub use search::Search;
pub use sessions::REMOVED_USER;
pub(super) use sessions::matching_others;
pub use undelivered::Undelivered;
