//! Accounts that come along from another system: a file with one of them in each row, and the rows of the table
//! that are made of it.

mod csv;
mod jsonl;
mod row;
mod table;

use chrono::{DateTime, Utc};

use super::{Email, Name, PasswordHash, Role};

pub use self::csv::CsvRows;
pub use jsonl::JsonRows;
pub use row::COLUMNS;
pub use table::{Imported, NewRow, insert};

/// An account as its row says.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// The address.
    pub email: Email,
    /// The name; without one, what stands before the `@`.
    pub name: Name,
    /// The role.
    pub role: Role,
    /// Whether the address is known to be the user's.
    pub email_verified: bool,
    /// Whether the user may not sign in.
    pub is_disabled: bool,
    /// When the account was made; without it, now.
    pub created_at: Option<DateTime<Utc>>,
    /// A hash that can be checked; without it, the user has to choose a password.
    pub password_hash: Option<PasswordHash>,
}

/// A row of the file.
#[derive(Debug)]
pub struct Row {
    /// The line on which it begins, from 1 on.
    pub line: u64,
    /// The account, or why there is none, in words that repeat no hash.
    pub user: Result<ImportedUser, String>,
}
