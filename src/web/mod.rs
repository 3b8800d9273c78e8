//! Everything that knows HTTP or HTML, and nothing that knows SQL.

pub mod api;
pub mod body;
pub mod client;
mod connection;
mod cross_origin;
pub mod extract;
mod identity;
mod openapi;
pub mod pages;
mod panics;
mod places;
mod postman;
pub mod problem;
mod prometheus;
mod proxy_check;
pub mod rate;
mod request_id;
pub mod routes;
mod schemas;
mod security_headers;
mod service;
mod static_files;
mod stopping;
mod tls;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};

use actix::Actor;
use nix::sys::socket::Backlog;

use actix_web::dev::ServerHandle;

use crate::auth::{Auth, audit, measures};
use crate::background::Background;
use crate::config::{MailConfig, ServeConfig};
use crate::log_limit;
use crate::mail::Carrier;
use postman::Postman;

/// Requests under way when the server stops have this long to finish, and so has a mail.
const GRACE_SECONDS: u64 = 10;

/// Connections that wait to be accepted; the kernel allows as many at most by default.
const BACKLOG: i32 = 4_096;

/// A server that holds its port and does not answer yet.
pub struct Server {
    config: ServeConfig,
    listener: TcpListener,
    metrics: Option<TcpListener>,
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    /// When the address is in use or not this machine's.
    pub fn bind(config: ServeConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.bind)?;
        // After a restart everybody comes at once.
        nix::sys::socket::listen(&listener, Backlog::new(BACKLOG)?)?;
        let metrics = config.metrics_bind.map(TcpListener::bind).transpose()?;
        Ok(Self {
            config,
            listener,
            metrics,
        })
    }

    /// Where it will answer: the port that was taken, if any was asked for.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where Prometheus finds its figures, if they are told.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }

    /// Answers until `shutdown` completes, then says that it is not ready any more, takes no new connections after the delay that
    /// was configured, and lets requests and a mail under way finish. Runs the sweeper beside it, and whoever sends the mails. It
    /// begins to wait for `shutdown` when it answers, and not before.
    ///
    /// # Errors
    /// When the port cannot be listened on, or the TLS certificate or the way to send mail cannot be used.
    pub async fn run_until(self, auth: Auth, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let Self {
            config,
            listener,
            metrics,
        } = self;
        let sweeper = {
            let auth = auth.clone();
            Background::new(config.cleanup_interval, move || sweep(auth.clone()))
        };
        let carrier = config.mail.as_ref().map(carrier).transpose()?;
        let url = self_url(&config, &listener)?;
        let stop_delay = config.stop_delay;
        let (address, scheme) = (listener.local_addr()?, scheme(&config));
        let (server, stopping) = service::listen(listener, &config, auth.clone())?;
        let metrics = metrics
            .map(|listener| measured(listener, auth.clone()))
            .transpose()?;
        log::info!("serving on {scheme}://{address}");
        let _sweeper = sweeper.start();
        let _sums = Background::new(log_limit::PERIOD, || {
            tell_counted();
            std::future::ready(())
        })
        .start();
        let postman = carrier.map(|carrier| Postman::start(carrier, url, auth.clone()));
        let handle = server.handle();
        let server = actix_web::rt::spawn(server);
        shutdown.await;
        stopping.begin();
        actix_web::rt::time::sleep(stop_delay).await;
        // Streams never finish by themselves; everything else may.
        auth.close_streams();
        let mails = async {
            if let Some(postman) = postman {
                postman.stop().await;
            }
        };
        tokio::join!(handle.stop(true), mails);
        if let Some((metrics, _)) = metrics {
            metrics.stop(false).await;
        }
        server.await.map_err(io::Error::other)?
    }
}

/// Counts from now on, and tells the counts there.
fn measured(listener: TcpListener, auth: Auth) -> io::Result<(ServerHandle, impl Sized)> {
    let counts = measures::start().map_err(io::Error::other)?;
    log::info!("metrics on http://{}/metrics", listener.local_addr()?);
    let upkeep = prometheus::upkeep(counts.clone()).start();
    let server = prometheus::listen(listener, auth, counts)?;
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok((handle, upkeep))
}

/// Whoever takes the mails.
fn carrier(mail: &MailConfig) -> io::Result<Carrier> {
    match mail {
        MailConfig::Smtp { url, from } => Carrier::smtp(url, from).map_err(io::Error::other),
        MailConfig::Terminal => Ok(Carrier::Terminal),
    }
}

/// Where people reach this server.
fn self_url(config: &ServeConfig, listener: &TcpListener) -> io::Result<String> {
    match &config.public_url {
        Some(url) => Ok(url.clone()),
        None => Ok(format!("{}://{}", scheme(config), listener.local_addr()?)),
    }
}

fn scheme(config: &ServeConfig) -> &'static str {
    if config.tls.is_some() { "https" } else { "http" }
}

/// Writes what the log has counted instead of writing it.
pub fn tell_counted() {
    audit::tell_counted();
    log::logger().flush();
}

async fn sweep(auth: Auth) {
    match auth.sweep(|_| ()).await {
        Ok(Some(swept)) if !swept.is_nothing() => log::info!("swept {swept}"),
        Ok(_) => {}
        Err(error) => log::warn!("the sweep stopped: {error}"),
    }
}
