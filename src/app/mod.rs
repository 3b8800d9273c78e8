//! The one place where the program is put together: database, use cases, servers, background work.
//!
//! `oneseat serve`, the tests and the benchmark start it here, each with its own configuration.
//! [`App::build`] takes the ports and opens the database; [`App::run_until`] answers until it is told to stop
//! or something fails.

pub mod background;
mod error;
mod metrics_exporter;
mod open;
mod parts;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::Auth;
use crate::config::{DatabaseConfig, MailConfig, ServeConfig};
use crate::db::embedded::Embedded;
use crate::mail::Mailer;
use crate::sessions::feed::RunningReader;
use crate::web::Server;
use background::BackgroundWork;
use metrics_exporter::{MetricsExporter, RunningExporter};
use parts::Parts;

pub use error::Error;
pub use open::{Held, OpenDatabase, open_for_a_command};

/// Pause between two looks at the private PostgreSQL.
const CARE: Duration = Duration::from_secs(1);

/// The program, put together. It holds its ports and its database, and does not answer yet.
pub struct App {
    config: ServeConfig,
    server: Server,
    address: SocketAddr,
    metrics: Option<MetricsExporter>,
    mailer: Option<Mailer>,
    auth: Auth,
    // Dropped in this order: the private PostgreSQL goes last.
    reader: RunningReader,
    embedded: Option<Arc<Embedded>>,
}

impl App {
    /// Takes the ports, opens the database and brings its schema up to date. The ports come first: without
    /// them a database is of no use.
    ///
    /// A caller that does not want to wait any longer must go on polling, so that a private PostgreSQL that
    /// is being made comes to an orderly end.
    ///
    /// # Errors
    /// [`Error`], in words for an operator.
    pub async fn build(database: DatabaseConfig, config: ServeConfig) -> Result<Self, Error> {
        let mailer = config.mail.as_ref().map(mailer).transpose()?;
        let metrics = config.http.metrics_bind.map(MetricsExporter::bind).transpose()?;
        let server = Server::bind(config.clone())?;
        let address = server.address()?;

        let connections = database.pool_size;
        let database = tokio::task::spawn_blocking(move || OpenDatabase::open(&database))
            .await
            .map_err(io::Error::other)??;
        for version in &database.applied {
            log::info!("applied migration {version}");
        }
        let parts = Parts::of_a_server(&database.url, connections, &config)?;
        let (auth, reader) = parts.start(&database.url)?;
        Ok(Self {
            config,
            server,
            address,
            metrics,
            mailer,
            auth,
            reader,
            embedded: database.embedded.map(Arc::new),
        })
    }

    /// The address it will answer on. Port 0 is replaced by the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for people, without a trailing slash.
    pub fn url(&self) -> String {
        let of_the_port = || format!("{}://{}", self.server.scheme(), self.address);
        self.config.http.public_url.clone().unwrap_or_else(of_the_port)
    }

    /// Where Prometheus will find the metrics, if they are exported.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.address()
    }

    /// The use cases.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Whether this program runs the PostgreSQL.
    pub fn has_private_database(&self) -> bool {
        self.embedded.is_some()
    }

    /// Answers until `shutdown` completes. Then it says that it is not ready, waits for the configured delay,
    /// takes no new connections, and lets requests and a mail under way finish. It polls `shutdown` only
    /// after it has answered a first request. Dropping it cuts off what is under way.
    ///
    /// # Errors
    /// The first failure: the threads that serve cannot be started, do not answer, or have died and cannot be
    /// replaced; the TLS certificate cannot be used.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let (url, scheme) = (self.url(), self.server.scheme());
        // Dropped in reverse order, also when this future is dropped: the private PostgreSQL goes last.
        let (embedded, _reader, auth) = (self.embedded, self.reader, self.auth);
        let served = async {
            let mut server = self.server.start(auth.clone()).await?;
            let mut metrics = match self.metrics {
                None => None,
                Some(exporter) => Some(exporter.start(auth.clone()).await?),
            };
            log::info!("serving on {scheme}://{}", self.address);
            let background = BackgroundWork::start(&auth, self.config.sweep_interval, self.mailer, url);
            let unready = server.unready();
            let stopping = async {
                shutdown.await;
                unready.begin();
                tokio::time::sleep(self.config.http.stop_delay).await;
            };
            // A server that failed is not waited for.
            let ended = tokio::select! {
                () = stopping => Ok(()),
                error = server.failed() => Err(error),
                error = failed(metrics.as_mut()) => Err(error),
            };
            unready.begin();
            // Streams never finish by themselves; everything else may.
            auth.close_streams();
            tokio::join!(server.stop(), background.stop());
            if let Some(metrics) = metrics {
                metrics.server.cut_off().await;
            }
            Ok(ended?)
        };
        tokio::select! {
            served = served => served,
            never = look_after(embedded.as_ref()) => match never {},
        }
    }
}

/// Completes with the reason when the exporter, if there is one, cannot go on.
async fn failed(metrics: Option<&mut RunningExporter>) -> io::Error {
    match metrics {
        Some(metrics) => metrics.server.failed().await,
        None => pending().await,
    }
}

/// Makes the mailer.
fn mailer(mail: &MailConfig) -> io::Result<Mailer> {
    match mail {
        MailConfig::Smtp { url, from } => Mailer::smtp(url, from).map_err(io::Error::other),
        MailConfig::Terminal => Ok(Mailer::Terminal),
    }
}

/// Restarts the private PostgreSQL whenever it has died.
async fn look_after(embedded: Option<&Arc<Embedded>>) -> Infallible {
    let Some(embedded) = embedded else {
        return pending().await;
    };
    loop {
        tokio::time::sleep(CARE).await;
        let embedded = embedded.clone();
        match tokio::task::spawn_blocking(move || embedded.revive()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => log::warn!("the private PostgreSQL had died and is running again"),
            Ok(Err(error)) => log::error!("the private PostgreSQL has died: {error}"),
            Err(error) => log::error!("the private PostgreSQL could not be checked: {error}"),
        }
    }
}
