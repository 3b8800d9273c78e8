//! The one place where the program is put together: database, use cases, servers, background work.
//!
//! `oneseat serve`, the tests and the benchmark start it here, each with its own configuration.
//! [`App::build`] takes the ports and opens the database; [`App::run_until`] answers until it is told to stop
//! or something fails.

mod auth_builder;
pub mod background;
mod error;
mod metrics_exporter;
mod open;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::Auth;
use crate::config::{DatabaseConfig, MailConfig, ServeConfig};
use crate::db::embedded::Embedded;
use crate::mail::{Mailer, Site};
use crate::sessions::feed::RunningReader;
use crate::web::Server;
use auth_builder::AuthBuilder;
use background::BackgroundWork;
use metrics_exporter::{MetricsExporter, RunningExporter};

pub use crate::db::embedded::{Progress, UpgradeControl, Upgraded};
pub use error::Error;
pub use open::{Absent, CommandResources, OpenDatabase, open_for_a_command, upgrade_private_database};

/// Pause between two looks at the private PostgreSQL.
const REVIVAL_PAUSE: Duration = Duration::from_secs(1);

/// The program, put together. It holds its ports and its database, and does not answer yet.
pub struct App {
    config: ServeConfig,
    server: Server,
    address: SocketAddr,
    metrics: Option<MetricsExporter>,
    mailer: Option<Mailer>,
    auth: Auth,
    // Fields are dropped in this order, so that the private PostgreSQL stops last.
    _reader: RunningReader,
    embedded: Option<Arc<Embedded>>,
}

impl App {
    /// Takes the ports, opens the database and brings its schema up to date. The ports come first: without
    /// them a database is of no use.
    ///
    /// A caller that does not want to wait any longer must still poll this to its end, so that a private PostgreSQL
    /// that is being made comes to an orderly end.
    ///
    /// # Errors
    /// [`Error`], in words for an operator.
    pub async fn build(database: DatabaseConfig, config: ServeConfig) -> Result<Self, Error> {
        let mailer = mailer(&config)?;
        let metrics = config.http.metrics_bind.map(MetricsExporter::bind).transpose()?;
        let server = Server::bind(config.clone())?;
        let address = server.address()?;

        let connections = database.pool_size;
        let database = tokio::task::spawn_blocking(move || OpenDatabase::open(&database, Absent::Made))
            .await
            .map_err(io::Error::other)??;
        if let Some(last) = database.applied.last() {
            log::info!("applied {} migrations, the last {last}", database.applied.len());
        }
        let (auth, reader) = AuthBuilder::for_server(database.url, connections, &config)?.start()?;
        auth.tell_missing_pepper().await;
        Ok(Self {
            config,
            server,
            address,
            metrics,
            mailer,
            auth,
            _reader: reader,
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
        // Dropped last, also when this future is dropped.
        let embedded = self.embedded.clone();
        tokio::select! {
            served = self.serve_until(shutdown) => served,
            never = keep_alive(embedded.as_ref()) => match never {},
        }
    }

    async fn serve_until(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let site = Site::new(&self.config.site, self.url());
        let scheme = self.server.scheme();
        let mut server = self.server.start(self.auth.clone()).await?;
        let mut metrics = match self.metrics {
            None => None,
            Some(exporter) => Some(exporter.start(self.auth.clone()).await?),
        };
        log::info!("serving on {scheme}://{}", self.address);
        let background = BackgroundWork::start(
            &self.auth,
            self.config.sweep_interval,
            self.config.page_grace,
            self.mailer,
            site,
        );

        let stopping = server.stopping();
        let asked_to_stop = async {
            shutdown.await;
            stopping.begin();
            tokio::time::sleep(self.config.http.stop_delay).await;
        };
        // After a failure there is no delay.
        let ended = tokio::select! {
            () = asked_to_stop => Ok(()),
            error = server.failed() => Err(error),
            error = failed(metrics.as_mut()) => Err(error),
        };
        stopping.begin();
        // Streams never finish by themselves; everything else may.
        self.auth.close_streams();
        tokio::join!(server.stop(), background.stop());
        if let Some(metrics) = metrics {
            metrics.server.cut_off().await;
        }
        Ok(ended?)
    }
}

/// Completes with the reason when the exporter, if there is one, cannot go on.
async fn failed(metrics: Option<&mut RunningExporter>) -> io::Error {
    match metrics {
        Some(metrics) => metrics.server.failed().await,
        None => pending().await,
    }
}

/// Makes the mailer, if mail is sent.
fn mailer(config: &ServeConfig) -> io::Result<Option<Mailer>> {
    Ok(match &config.mail {
        None => None,
        Some(MailConfig::Terminal) => Some(Mailer::Terminal),
        Some(MailConfig::Smtp { url, from }) => {
            let public_url = config.http.public_url.as_deref();
            Some(Mailer::smtp(url, from, public_url).map_err(io::Error::other)?)
        }
    })
}

/// Restarts the private PostgreSQL, if there is one, whenever it has died.
async fn keep_alive(embedded: Option<&Arc<Embedded>>) -> Infallible {
    let Some(embedded) = embedded else {
        return pending().await;
    };
    loop {
        tokio::time::sleep(REVIVAL_PAUSE).await;
        let embedded = embedded.clone();
        match tokio::task::spawn_blocking(move || embedded.revive()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => log::warn!("the private PostgreSQL had died and is running again"),
            Ok(Err(error)) => log::error!("the private PostgreSQL has died: {error}"),
            Err(error) => log::error!("the private PostgreSQL could not be checked: {error}"),
        }
    }
}
