//! Why the program cannot start, or cannot go on.

use std::io;

use crate::db::{Unavailable, embedded, migrations};
use crate::users::hasher;

/// Each error tells the operator what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port, a thread, a file, or a server that has died.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The private PostgreSQL.
    #[error(transparent)]
    Embedded(#[from] embedded::Error),
    /// The database's schema.
    #[error(transparent)]
    Migrations(#[from] migrations::Error),
    /// The database does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The threads that hash passwords.
    #[error(transparent)]
    Hasher(#[from] hasher::Error),
}
