//! `oneseat migrate`

use clap::Args;

use super::{Failure, in_background, output};
use crate::app::{Absent, OpenDatabase};
use crate::config::{self, DatabaseSettings};
use crate::unseen;

/// Arguments of `oneseat migrate`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Before the first instance of a new version:
    oneseat migrate")]
pub(super) struct Migrate {
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Migrate {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = config::database(&self.database)?;
        let opened = in_background("bringing the schema up to date", move || {
            OpenDatabase::open(&config, Absent::Made)
        })
        .await?;
        for version in &opened.applied {
            output::line(format_args!("applied {version}"))?;
        }
        let respelled = &opened.respelled;
        if respelled.changed > 0 {
            output::line(format_args!(
                "gave {} addresses their spelling (the domain in ASCII)",
                respelled.changed
            ))?;
        }
        for left in &respelled.left {
            output::line(unseen::in_line(&left.to_string()))?;
        }
        if opened.applied.is_empty() && respelled.changed == 0 {
            output::line("up to date")?;
        }
        Ok(())
    }
}
