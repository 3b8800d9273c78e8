//! `oneseat client ...`

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Failure, open, output, table};
use crate::config::{self, DatabaseSettings};
use crate::users::Name;

/// `oneseat client ...`
#[derive(Subcommand, Debug)]
pub(super) enum Client {
    /// Add a service; prints its id and its secret, this once
    Add(Target),
    /// List all services
    List(List),
    /// Remove a service; its secret stops working
    Remove(Target),
}

#[derive(Args, Debug)]
pub(super) struct Target {
    /// What people call the service
    name: Name,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  The names of all services:
    oneseat client list --json | jq -r '.[].name'")]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Client {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Add(target) => target.add().await,
            Self::List(list) => list.run().await,
            Self::Remove(target) => target.remove().await,
        }
    }
}

impl Target {
    async fn add(self) -> Result<(), Failure> {
        let (auth, _opened) = open(&config::database(&self.database)?)?;
        let (client, secret) = auth.add_client(self.name).await.map_err(Failure::failed)?;
        let shown = output::line(format_args!(
            "added {}; this is shown once:\n\n    client id      {}\n    client secret  {}\n",
            client.name,
            client.id,
            secret.reveal()
        ));
        if shown.is_err() {
            // A secret that nobody has seen is of no use.
            let name = client.name.parse().map_err(Failure::failed)?;
            auth.remove_client(name).await.map_err(Failure::failed)?;
        }
        shown
    }

    async fn remove(self) -> Result<(), Failure> {
        let (auth, _opened) = open(&config::database(&self.database)?)?;
        auth.remove_client(self.name.clone())
            .await
            .map_err(Failure::failed)?;
        output::line(format_args!("{} is removed", self.name))
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let (auth, _opened) = open(&config::database(&self.database)?)?;
        let clients = auth.clients().await.map_err(Failure::failed)?;
        if self.json {
            let list = clients.iter().map(
                |client| json!({ "id": client.id, "name": client.name, "createdAt": client.created_at }),
            );
            return table::print_json(&list.collect::<Vec<_>>());
        }
        let rows = clients
            .into_iter()
            .map(|client| [client.id.to_string(), client.name, table::time(client.created_at)])
            .collect();
        let none = "no services yet; add one with: oneseat client add NAME";
        table::print(["ID", "NAME", "ADDED"], rows, none)
    }
}
