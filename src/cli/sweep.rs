//! `oneseat sweep`

use clap::Args;

use super::{Failure, open_with, output, progress};
use crate::app::Absent;
use crate::config::{self, DatabaseSettings, HistorySettings, Policy, ServeConfig};

/// Arguments of `oneseat sweep`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Forget what became of sessions more than a week ago:
    oneseat sweep --history-retention 7d")]
pub(super) struct Sweep {
    #[command(flatten)]
    history: HistorySettings,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Sweep {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (database, history) = config::sweep(&self.database, &self.history)?;
        let policy = Policy {
            history,
            ..ServeConfig::usual()?.policy
        };
        let (auth, _opened) = open_with(database, policy, Absent::Refused).await?;
        let bar = progress::bar(auth.sweepable()).await;
        let swept = auth
            .sweep(|so_far| bar.set_position(so_far.rows()))
            .await
            .map_err(Failure::failed);
        bar.finish_and_clear();
        output::line(match swept? {
            Some(swept) => format!("removed {swept}"),
            None => "another instance is sweeping; it is left to that one".to_owned(),
        })
    }
}
