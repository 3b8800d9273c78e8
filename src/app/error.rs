//! Why the program cannot start, or cannot go on.

use std::io;

use crate::db::{Unavailable, embedded, migrations};
use crate::users::hasher;

/// Why the program cannot start, or cannot go on. Each error tells the operator what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port, a thread or a file cannot be used, or a server has died.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The private PostgreSQL cannot be used.
    #[error(transparent)]
    Embedded(#[from] embedded::Error),
    /// The database's schema cannot be brought up to date.
    #[error(transparent)]
    Migrations(#[from] migrations::Error),
    /// The database does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The threads that hash passwords cannot be started.
    #[error(transparent)]
    Hasher(#[from] hasher::Error),
}
