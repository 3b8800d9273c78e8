//! Everything that knows HTTP or HTML, and nothing that knows SQL.

pub mod api;
pub mod body;
pub mod client;
pub mod extract;
pub mod pages;
pub mod problem;
pub mod routes;
mod security_headers;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix::Actor;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};

use crate::auth::Auth;
use crate::config::ServeConfig;
use crate::sessions::sweeper::Sweeper;

/// A client that takes longer to send its request's head is cut off.
const SLOWEST_HEAD: Duration = Duration::from_secs(5);
/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
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

    /// Answers until `shutdown` completes, then lets requests under way finish. Runs the sweeper beside it.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub async fn run_until(self, auth: Auth, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let Self { config, listener } = self;
        let sweeper = {
            let auth = auth.clone();
            Sweeper::new(config.cleanup_interval, move || sweep(auth.clone()))
        };
        let _sweeper = sweeper.start();

        let streams = auth.clone();
        let workers = config.workers;
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(auth.clone()))
                .app_data(web::Data::new(client::TrustedProxies::new(
                    config.trusted_proxies.clone(),
                )))
                .configure(|app| routes::configure(app, &config.static_dir))
                .wrap(from_fn(problem::every_error_is_a_problem))
                .wrap(security_headers::of(&config))
        })
        .workers(workers)
        .client_request_timeout(SLOWEST_HEAD)
        .keep_alive(KEEP_ALIVE)
        // A client that is gone is noticed: its stream gives its place back, its password is not hashed.
        .h1_allow_half_closed(false)
        .shutdown_timeout(GRACE_SECONDS)
        .disable_signals()
        .listen(listener)?
        .run();

        let handle = server.handle();
        let server = actix_web::rt::spawn(server);
        shutdown.await;
        // Streams never finish by themselves; everything else may.
        streams.close_streams();
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
