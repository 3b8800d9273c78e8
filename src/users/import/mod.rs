//! Imports accounts of another system: reads a file with one account in each row, and writes them to the
//! table `users`.

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

/// An account, with the values of its row.
#[derive(Clone, Debug)]
pub struct ImportedUser {
    /// The address.
    pub email: Email,
    /// The name. Without one in the row, the part before the `@`.
    pub name: Name,
    /// The role.
    pub role: Role,
    /// Whether the address is known to be the user's.
    pub email_verified: bool,
    /// Whether the user may not sign in.
    pub is_disabled: bool,
    /// When the account was made. `None` means now.
    pub created_at: Option<DateTime<Utc>>,
    /// A hash that can be checked. Without it, the user has to choose a password.
    pub password_hash: Option<PasswordHash>,
}

/// A row of the file.
#[derive(Debug)]
pub struct Row {
    /// The line on which it begins, counted from 1.
    pub line: u64,
    /// The account, or why the row was refused, in words that repeat no hash.
    pub user: Result<ImportedUser, String>,
}
