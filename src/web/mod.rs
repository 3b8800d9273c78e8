//! Everything that knows HTTP or HTML, and nothing that knows SQL.

pub mod api;
pub mod body;
pub mod client;
mod connection;
mod cross_origin;
pub mod extract;
pub mod pages;
mod panics;
pub mod problem;
pub mod rate;
pub mod routes;
mod security_headers;
mod service;
mod tls;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};

use actix::Actor;

use crate::auth::Auth;
use crate::config::ServeConfig;
use crate::sessions::sweeper::Sweeper;

/// Requests under way when the server stops have this long to finish.
const GRACE_SECONDS: u64 = 10;

/// A server that holds its port and does not answer yet.
pub struct Server {
    config: ServeConfig,
    listener: TcpListener,
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    /// When the address is in use or not this machine's.
    pub fn bind(config: ServeConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.bind)?;
        Ok(Self { config, listener })
    }

    /// Where it will answer: the port that was taken, if any was asked for.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` completes, then says that it is not ready any more, takes no new connections after the delay that
    /// was configured, and lets requests under way finish. Runs the sweeper beside it.
    ///
    /// # Errors
    /// When the port cannot be listened on, or the TLS certificate cannot be used.
    pub async fn run_until(self, auth: Auth, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let Self { config, listener } = self;
        let sweeper = {
            let auth = auth.clone();
            Sweeper::new(config.cleanup_interval, move || sweep(auth.clone()))
        };
        let stop_delay = config.stop_delay;
        let (server, stopping) = service::listen(listener, &config, auth.clone())?;
        let _sweeper = sweeper.start();
        let handle = server.handle();
        let server = actix_web::rt::spawn(server);
        shutdown.await;
        stopping.begin();
        actix_web::rt::time::sleep(stop_delay).await;
        // Streams never finish by themselves; everything else may.
        auth.close_streams();
        handle.stop(true).await;
        server.await.map_err(io::Error::other)?
    }
}

async fn sweep(auth: Auth) {
    match auth.sweep(|_| ()).await {
        Ok(Some(swept)) if !swept.is_nothing() => log::info!("swept {swept}"),
        Ok(_) => {}
        Err(error) => log::warn!("the sweep stopped: {error}"),
    }
}
