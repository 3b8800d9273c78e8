//! `oneseat serve`

use actix_web::rt::signal::unix::{SignalKind, signal};
use clap::Args;

use super::Failure;
use super::open::Opened;
use crate::auth::accounts::NewAccount;
use crate::auth::{Auth, Error};
use crate::config::{self, DatabaseSettings, ServeSettings};
use crate::users::{Email, Password, Role};
use crate::web::Server;

/// Whom the private database starts with.
const FIRST_ADMIN: &str = "admin@localhost";

/// Arguments of `oneseat serve`.
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    serve: ServeSettings,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (database, serve) = config::serve(&self.database, &self.serve)?;
        // Before anything starts: a stop that is asked for while starting is carried out after it.
        let shutdown = stop_signal()?;

        let opened = Opened::open(&database)?;
        for version in &opened.applied {
            log::info!("applied migration {version}");
        }
        let hashers = std::thread::available_parallelism().map_or(1, usize::from);
        let auth = opened.auth(database.pool_size, hashers, serve.sessions, serve.lockout)?;
        let address = serve.bind;
        let url = serve.public_url.clone();
        let server = Server::bind(serve, auth.clone()).map_err(|error| {
            Failure::failed(format!(
                "cannot listen on {address}: {error}; name another address with --bind"
            ))
        })?;
        let address = server.address().map_err(Failure::failed)?;
        let url = url.unwrap_or_else(|| format!("http://{address}"));
        welcome(&auth, &url, opened.embedded.is_some()).await?;
        log::info!("serving on http://{address}");

        server.run_until(shutdown).await.map_err(Failure::failed)?;
        log::info!("stopped");
        Ok(())
    }
}

/// Completes on SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Nobody can sign in to an empty database. The private one gets an admin, whose password goes to the terminal this once
/// and to no log; for a database of the operator's own there is only a hint (OWASP ASVS 6.3.2: no default account).
async fn welcome(auth: &Auth, url: &str, is_embedded: bool) -> Result<(), Failure> {
    if !auth.has_no_users().await.map_err(Failure::failed)? {
        return Ok(());
    }
    if !is_embedded {
        log::warn!("there are no users yet; add one with: oneseat user add EMAIL --name NAME");
        return Ok(());
    }
    let password = Password::generate().map_err(Failure::failed)?;
    let admin = NewAccount {
        name: "Administrator".to_owned(),
        email: FIRST_ADMIN.parse::<Email>().map_err(Failure::failed)?,
        role: Role::Admin,
        email_verified: true,
        password: password.clone(),
    };
    match auth.add_user(admin).await {
        Ok(_) => {
            println!("\n  oneseat is ready, and this is shown once:\n");
            println!("    address   {url}");
            println!("    user      {FIRST_ADMIN}");
            println!("    password  {}\n", password.reveal());
            Ok(())
        }
        // Another `serve` on the same data was first, and has shown its password.
        Err(Error::EmailTaken(_)) => Ok(()),
        Err(error) => Err(Failure::failed(error)),
    }
}
