//! Everything that knows HTTP or HTML, and nothing that knows SQL.

pub mod api;
pub mod body;
pub mod client;
mod connection;
mod connection_limit;
mod cross_origin;
pub mod extract;
mod identity;
mod openapi;
pub mod pages;
mod panics;
mod postman;
pub mod problem;
mod prometheus;
mod proxy_check;
pub mod rate;
mod request_id;
pub mod routes;
mod schemas;
mod security_headers;
mod self_check;
mod service;
mod static_files;
mod stopping;
mod supervisor;
mod tls;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix::Actor;
use nix::sys::socket::Backlog;

use crate::auth::{Auth, audit, metrics};
use crate::background::Background;
use crate::config::{MailConfig, ServeConfig};
use crate::log_limit;
use crate::mail::Mailer;
use postman::Postman;
use self_check::SelfCheck;
use stopping::Stopping;
use supervisor::{Running, Workers};

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
    /// Takes the port, and that of the metrics.
    ///
    /// # Errors
    /// When an address is in use or not this machine's, with the flag that names it.
    pub fn bind(config: ServeConfig) -> io::Result<Self> {
        let listener = listen_on(config.bind, "--bind")?;
        // After a restart everybody comes at once.
        nix::sys::socket::listen(&listener, Backlog::new(BACKLOG)?)?;
        let metrics = config
            .metrics_bind
            .map(|address| listen_on(address, "--metrics-bind"))
            .transpose()?;
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
    /// begins to wait for `shutdown` when it has answered a request of its own, and not before.
    ///
    /// # Errors
    /// When the port cannot be listened on, or the TLS certificate or the way to send mail cannot be used; when the threads that
    /// serve cannot be started, do not answer, or die later and cannot be replaced.
    pub async fn run_until(self, auth: Auth, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let Self {
            config,
            listener,
            metrics,
        } = self;
        let mailer = config.mail.as_ref().map(mailer).transpose()?;
        let url = self_url(&config, &listener)?;
        let (address, scheme) = (listener.local_addr()?, scheme(&config));
        let (mut server, stopping) = answering(listener, &config, auth.clone()).await?;
        let mut metrics = match metrics {
            None => None,
            Some(listener) => Some(measured(listener, auth.clone()).await?),
        };
        log::info!("serving on {scheme}://{address}");
        let sweeper = {
            let auth = auth.clone();
            Background::new(config.sweep_interval, move || sweep(auth.clone()))
        };
        let _sweeper = sweeper.start();
        let _sums = Background::new(log_limit::PERIOD, || {
            tell_counted();
            std::future::ready(())
        })
        .start();
        let postman = mailer.map(|mailer| Postman::start(mailer, url, auth.clone()));
        let served = tokio::select! {
            () = shutdown => Ok(config.stop_delay),
            error = server.failed() => Err(error),
            error = Running::any_failed(metrics.as_mut().map(|(metrics, _)| metrics)) => Err(error),
        };
        stopping.begin();
        // What cannot serve is not waited for.
        actix_web::rt::time::sleep(*served.as_ref().unwrap_or(&Duration::ZERO)).await;
        // Streams never finish by themselves; everything else may.
        auth.close_streams();
        let mails = async {
            if let Some(postman) = postman {
                postman.stop().await;
            }
        };
        tokio::join!(server.stop(), mails);
        if let Some((metrics, _)) = metrics {
            metrics.cut_off().await;
        }
        served.map(drop)
    }
}

/// Starts to answer.
async fn answering(
    listener: TcpListener,
    config: &ServeConfig,
    auth: Auth,
) -> io::Result<(Running, Stopping)> {
    let address = listener.local_addr()?;
    let check = match config.tls {
        None => SelfCheck::http(address),
        Some(_) => SelfCheck::https(address)?,
    };
    let workers = Workers::new(config.workers);
    let (server, stopping) = service::listen(listener, config, auth, workers.clone())?;
    Ok((Running::start(server, workers, check).await?, stopping))
}

fn listen_on(address: SocketAddr, flag: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        let words = format!("cannot listen on {address}: {error}; name another address with {flag}");
        io::Error::new(error.kind(), words)
    })
}

/// Counts from now on, and tells the counts there.
async fn measured(listener: TcpListener, auth: Auth) -> io::Result<(Running, impl Sized)> {
    let counts = metrics::start().map_err(io::Error::other)?;
    let address = listener.local_addr()?;
    let upkeep = prometheus::upkeep(counts.clone()).start();
    let workers = Workers::new(prometheus::WORKERS);
    let server = prometheus::listen(listener, auth, counts, workers.clone())?;
    let server = Running::start(server, workers, SelfCheck::http(address)).await?;
    log::info!("metrics on http://{address}/metrics");
    Ok((server, upkeep))
}

/// Whoever takes the mails.
fn mailer(mail: &MailConfig) -> io::Result<Mailer> {
    match mail {
        MailConfig::Smtp { url, from } => Mailer::smtp(url, from).map_err(io::Error::other),
        MailConfig::Terminal => Ok(Mailer::Terminal),
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
