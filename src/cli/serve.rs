//! `oneseat serve`

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use actix_web::rt::signal::unix::{SignalKind, signal};
use clap::Args;

use super::open::{Opened, Threads};
use super::{Failure, notify, open_files, output};
use crate::auth::accounts::NewAccount;
use crate::auth::{Auth, Error, LastAdmin};
use crate::config::{self, DatabaseConfig, DatabaseSettings, ServeSettings, StandardOutput};
use crate::db::embedded::Embedded;
use crate::sessions::listener::Listener;
use crate::sessions::watchers::Watchers;
use crate::users::{Email, Password, Role};
use crate::web::Server;

/// Whom the private database starts with.
const FIRST_ADMIN: &str = "admin@localhost";

/// How often the private PostgreSQL is looked after.
const CARE: Duration = Duration::from_secs(1);

/// How long a start that is told to stop may take to come to an orderly end.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Arguments of `oneseat serve`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Try it out; the first start prints a password:
    oneseat serve
  Behind a proxy on this machine that speaks TLS, over a database of yours:
    DATABASE_URL=postgres://oneseat@db.example.org/oneseat oneseat serve \\
        --public-url https://seat.example.org --trusted-proxies 127.0.0.1,::1
  To other machines, with TLS of its own:
    oneseat serve --bind 0.0.0.0:8443 --tls-cert chain.pem --tls-key key.pem --public-url https://seat.example.org:8443")]
pub(super) struct Serve {
    #[command(flatten)]
    serve: ServeSettings,
    #[command(flatten)]
    database: DatabaseSettings,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (database, mut serve) =
            config::serve(&self.database, &self.serve, StandardOutput::of_this_program())?;
        let policy = serve.policy;
        let watchers = Watchers::new(serve.max_event_streams);
        let scheme = if serve.tls.is_some() { "https" } else { "http" };
        let public_url = serve.public_url.clone();
        if serve.mail.is_none() {
            log::info!("no mail is sent: there is no --smtp-url");
        }
        let files = open_files::raise_limit();
        serve.max_connections =
            open_files::connections(serve.max_connections, files, serve.workers, database.pool_size)?;
        let mut shutdown = Box::pin(stop_signal(1)?);
        let hurry = stop_signal(2)?;

        // First the port: what cannot be served is not worth a database.
        let server = Server::bind(serve).map_err(Failure::failed)?;
        let address = server.address().map_err(Failure::failed)?;
        let Some(mut opened) = open(&database, &mut shutdown).await? else {
            return Ok(());
        };
        for version in &opened.applied {
            log::info!("applied migration {version}");
        }
        let threads = threads(database.pool_size);
        let auth = opened.auth(database.pool_size, threads, watchers.clone(), policy)?;
        let listener = Listener::start(opened.url.clone(), watchers).map_err(Failure::failed)?;
        let embedded = opened.embedded.take().map(Arc::new);
        let url = public_url.unwrap_or_else(|| format!("{scheme}://{address}"));
        welcome(&auth, &url, embedded.is_some()).await?;

        let care = embedded.clone().map(|embedded| rt::spawn(look_after(embedded)));
        let served = tokio::select! {
            served = server.run_until(auth, telling_systemd(shutdown)) => served,
            () = hurry => {
                log::warn!("told twice to stop: requests under way are cut off");
                Ok(())
            }
        };
        if let Some(care) = care {
            care.abort();
            let _ = care.await;
        }
        drop(listener);
        drop(embedded);
        log::info!("stopped");
        served.map_err(Failure::failed)
    }
}

/// One to hash for each processor. To validate, two: while one waits for the database the other talks to the workers; more only
/// make the batches smaller. But one connection is left for everything else.
fn threads(pool_size: u32) -> Threads {
    Threads {
        hashers: std::thread::available_parallelism().map_or(1, usize::from),
        validators: (pool_size as usize - 1).min(2),
    }
}

/// Completes when the program is asked to stop, so many times, or its terminal goes away.
fn stop_signal(times: u8) -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::failed)?;
    Ok(async move {
        for _ in 0..times {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        }
    })
}

/// Says that the server serves, once it has answered and waits to be stopped, and that it stops when it is told to.
async fn telling_systemd(shutdown: impl Future<Output = ()>) {
    notify::tell(notify::State::Ready);
    shutdown.await;
    notify::tell(notify::State::Stopping);
}

/// Opens the database. `None`: the program was asked to stop while it did.
async fn open(
    config: &DatabaseConfig,
    shutdown: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Option<Opened>, Failure> {
    let config = config.clone();
    let mut opening = tokio::task::spawn_blocking(move || Opened::open(&config));
    tokio::select! {
        opened = &mut opening => opened.map_err(Failure::failed)?.map(Some),
        () = shutdown => match tokio::time::timeout(TIMEOUT, opening).await {
            // Whatever came of it is dropped, and that puts everything back in order.
            Ok(_) => Ok(None),
            Err(_) => std::process::exit(1),
        },
    }
}

/// Starts the private PostgreSQL again whenever it died.
async fn look_after(embedded: Arc<Embedded>) {
    loop {
        rt::time::sleep(CARE).await;
        let embedded = embedded.clone();
        match tokio::task::spawn_blocking(move || embedded.revive()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => log::warn!("the private PostgreSQL had died and is running again"),
            Ok(Err(error)) => log::error!("the private PostgreSQL has died: {error}"),
            Err(error) => log::error!("the private PostgreSQL is not looked after: {error}"),
        }
    }
}

/// Nobody can sign in to an empty database. The private one gets an admin, whose password goes to standard output this
/// once and to no log; for a database of the operator's own there is only a hint (OWASP ASVS 6.3.2: no default account).
async fn welcome(auth: &Auth, url: &str, is_embedded: bool) -> Result<(), Failure> {
    if !auth.has_no_users().await.map_err(Failure::failed)? {
        return Ok(());
    }
    if !is_embedded {
        log::warn!("there are no users yet; add one with: oneseat user add EMAIL --name NAME --verified");
        return Ok(());
    }
    let password = Password::generate().map_err(Failure::failed)?;
    let email: Email = FIRST_ADMIN.parse().map_err(Failure::failed)?;
    let admin = NewAccount {
        name: "Administrator".parse().map_err(Failure::failed)?,
        email: email.clone(),
        role: Role::Admin,
        email_verified: true,
        password: password.clone(),
    };
    match auth.add_user(admin).await {
        Ok(_) => {}
        // Another `serve` on the same data was first, and has shown its password.
        Err(Error::EmailTaken(_)) => return Ok(()),
        Err(error) => return Err(Failure::failed(error)),
    }
    let shown = output::line(format_args!(
        "\n  oneseat is ready, and this is shown once:\n\n    \
         address   {url}\n    user      {FIRST_ADMIN}\n    password  {}\n",
        password.reveal()
    ));
    if shown.is_err() {
        // A password that nobody has seen opens nothing: the next start makes another.
        auth.remove_user(email, LastAdmin::MayGo)
            .await
            .map_err(Failure::failed)?;
    }
    shown
}
