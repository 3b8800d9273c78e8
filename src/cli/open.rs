//! Opens the database for a short command.

use super::{Failure, progress};
use crate::app::{self, Absent, CommandResources, open_for_a_command};
use crate::auth::Auth;
use crate::config::{DatabaseConfig, Policy, ServeConfig};

/// Opens the use cases for a short command about existing data.
pub(super) async fn open(config: DatabaseConfig) -> Result<(Auth, CommandResources), Failure> {
    open_with(config, ServeConfig::usual()?.policy, Absent::Refused).await
}

/// Opens the use cases for a command that makes something, perhaps before the first `serve`.
pub(super) async fn open_to_begin(config: DatabaseConfig) -> Result<(Auth, CommandResources), Failure> {
    open_with(config, ServeConfig::usual()?.policy, Absent::Made).await
}

/// Opens the use cases for a command that makes an account. `takes_utf8_addresses` is that of [`Policy`].
pub(super) async fn open_to_add(
    config: DatabaseConfig,
    takes_utf8_addresses: bool,
) -> Result<(Auth, CommandResources), Failure> {
    let policy = Policy {
        takes_utf8_addresses,
        ..ServeConfig::usual()?.policy
    };
    open_with(config, policy, Absent::Made).await
}

/// Opens the use cases for a command with a policy of its own.
pub(super) async fn open_with(
    config: DatabaseConfig,
    policy: Policy,
    absent: Absent,
) -> Result<(Auth, CommandResources), Failure> {
    in_background("opening the database", move || {
        open_for_a_command(&config, policy, absent)
    })
    .await
}

/// Runs blocking work on a thread of its own, so that a signal is heard meanwhile. If it takes a while, a terminal
/// shows `words`.
pub(super) async fn in_background<T: Send + 'static>(
    words: &'static str,
    work: impl FnOnce() -> Result<T, app::Error> + Send + 'static,
) -> Result<T, Failure> {
    let working = tokio::task::spawn_blocking(work);
    let done = progress::told_after_a_while(words, working).await;
    Ok(done.map_err(Failure::failed)??)
}
