//! `oneseat client ...`

use clap::{Args, Subcommand};
use serde_json::json;

use super::confirm::Confirmation;
use super::table::Column;
use super::{Failure, open, open_to_begin, output, table};
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
    Remove(Remove),
}

#[derive(Args, Debug)]
pub(super) struct Target {
    /// What people call the service
    name: Name,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Args, Debug)]
pub(super) struct Remove {
    // This comes before the target, which ends with the database settings: their heading would cover it, too.
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    target: Target,
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
            Self::Remove(remove) => remove.run().await,
        }
    }
}

impl Target {
    async fn add(self) -> Result<(), Failure> {
        let (auth, _opened) = open_to_begin(config::database(&self.database)?).await?;
        let (client, secret) = auth.add_client(self.name).await.map_err(Failure::failed)?;
        let shown = output::line(format_args!(
            "added {}; this is shown once:\n\n    client id      {}\n    client secret  {}\n",
            table::shown(&client.name),
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
}

impl Remove {
    async fn run(self) -> Result<(), Failure> {
        let Target { name, database } = self.target;
        self.confirmation.is_possible("oneseat client remove")?;
        let (auth, _opened) = open(config::database(&database)?).await?;
        let clients = auth.clients().await.map_err(Failure::failed)?;
        if clients.iter().any(|client| client.name == name.as_str()) {
            let name = table::shown(name.as_str());
            let question = format!("Remove the service {name}? Its secret stops working for good.");
            self.confirmation.ask(&question).await?;
        }
        auth.remove_client(name.clone()).await.map_err(Failure::failed)?;
        output::line(format_args!("{} is removed", table::shown(name.as_str())))
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let (auth, _opened) = open(config::database(&self.database)?).await?;
        let clients = auth.clients().await.map_err(Failure::failed)?;
        if self.json {
            let list = clients.iter().map(
                |client| json!({ "id": client.id, "name": client.name, "createdAt": client.created_at }),
            );
            return table::print_json(&list.collect::<Vec<_>>());
        }
        let rows = clients
            .into_iter()
            .map(|client| {
                [
                    client.name.into(),
                    client.created_at.into(),
                    client.id.to_string().into(),
                ]
            })
            .collect();
        let none = "no services yet; add one with: oneseat client add NAME";
        let columns = [
            Column::cut("NAME", 12),
            Column::whole("ADDED"),
            Column::whole("ID"),
        ];
        table::print(columns, rows, none)
    }
}
