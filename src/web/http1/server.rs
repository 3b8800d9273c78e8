//! A server that first takes its port and then answers.

use std::io;
use std::net::{SocketAddr, TcpListener};

use nix::sys::socket::Backlog;

use super::self_check::SelfCheck;
use super::service;
use super::supervisor::{Running, Workers};
use crate::auth::Auth;
use crate::config::ServeConfig;
use crate::web::Stopping;

/// Most connections that wait to be accepted; the kernel's default limit is as high.
const BACKLOG: i32 = 4_096;

/// A server that holds its port and does not answer yet.
pub struct Server {
    config: ServeConfig,
    listener: TcpListener,
}

/// A server that answers.
pub struct RunningServer {
    running: Running,
    stopping: Stopping,
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    /// When the address is in use or not this machine's. The error names the flag.
    pub fn bind(config: ServeConfig) -> io::Result<Self> {
        let listener = listen_on(config.http.bind, "--bind")?;
        // After a restart all clients come at once.
        nix::sys::socket::listen(&listener, Backlog::new(BACKLOG)?)?;
        Ok(Self { config, listener })
    }

    /// The address it will answer on. Port 0 is replaced by the port that was taken.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.config.tls.is_some() {
            "https"
        } else {
            "http"
        }
    }

    /// Starts to answer, and waits until it has answered a request of its own or of a client.
    ///
    /// # Errors
    /// When the TLS certificate cannot be used, the threads that serve cannot be started, or do not answer.
    pub async fn start(self, auth: Auth) -> io::Result<RunningServer> {
        let address = self.address()?;
        let check = match self.config.tls {
            None => SelfCheck::http(address),
            Some(_) => SelfCheck::https(address)?,
        };
        let workers = Workers::new(self.config.http.workers);
        let (server, stopping) = service::listen(self.listener, &self.config, auth, workers.clone())?;
        Ok(RunningServer {
            running: Running::start(server, workers, check).await?,
            stopping,
        })
    }
}

impl RunningServer {
    /// Completes with the reason when the server cannot go on.
    pub async fn failed(&mut self) -> io::Error {
        self.running.failed().await
    }

    /// Whether the server stops. `GET /readyz` answers by it.
    pub fn stopping(&self) -> Stopping {
        self.stopping.clone()
    }

    /// Takes no new connections, lets requests under way finish, and ends.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// Takes a port.
///
/// # Errors
/// When it is in use or not this machine's. The error names the flag.
pub(crate) fn listen_on(address: SocketAddr, flag: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        let words = format!("cannot listen on {address}: {error}; name another address with {flag}");
        io::Error::new(error.kind(), words)
    })
}
