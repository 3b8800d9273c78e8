//! `oneseat sweep`

use clap::Args;

use super::open::open;
use super::{Failure, output};
use crate::config::{self, DatabaseSettings};

/// Arguments of `oneseat sweep`.
#[derive(Args, Debug)]
pub(super) struct Sweep {
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Sweep {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (auth, _opened) = open(&config::database(&self.database)?)?;
        let words = match auth.sweep().await.map_err(Failure::failed)? {
            Some(swept) => format!(
                "removed {} expired sessions and {} stale login failures",
                swept.sessions, swept.login_failures
            ),
            None => "another instance is sweeping; nothing left to do here".to_owned(),
        };
        output::line(words)
    }
}
