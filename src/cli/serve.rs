//! `oneseat serve`

use std::future::Future;
use std::time::Duration;

use actix_web::rt::signal::unix::{SignalKind, signal};
use clap::Args;

use super::interrupt::end_soon;
use super::log::{LogFormat, last_words};
use super::welcome::Welcome;
use super::{FAILED, Failure, notify, open_files};
use crate::app::App;
use crate::config::{self, DatabaseConfig, DatabaseSettings, ServeConfig, ServeSettings, StandardOutput};

/// How long a start may take to come to an orderly end when it is told to stop.
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
    pub(super) async fn run(self, log_format: LogFormat) -> Result<(), Failure> {
        let (database, mut serve) =
            config::serve(&self.database, &self.serve, StandardOutput::of_this_program())?;
        if serve.mail.is_none() {
            log::info!("no mail is sent: there is no --smtp-url");
        }
        let files = open_files::raise_limit();
        serve.http.max_connections = open_files::connections(
            serve.http.max_connections,
            files,
            serve.http.workers,
            database.pool_size,
        )?;
        let mut shutdown = Box::pin(stop_signal(1)?);
        let second = stop_signal(2)?;
        let hurry = async {
            second.await;
            log::warn!("told twice to stop: requests under way are cut off");
        };

        let Some(app) = build(database, serve, &mut shutdown).await? else {
            return Ok(());
        };
        let has_private_database = app.has_private_database();
        let welcome = Welcome::of(&app).await?;
        let mut unshown = None;
        let told_to_stop = async {
            match welcome.show().await {
                Ok(()) => telling_systemd(shutdown).await,
                Err(failure) => unshown = Some(failure),
            }
        };
        let served = tokio::select! {
            served = app.run_until(told_to_stop) => served,
            () = hurry => Ok(()),
        };
        log::info!("stopped");
        let done = served
            .map_err(Failure::from)
            .and_then(|()| unshown.map_or(Ok(()), Err));
        // The end of a private PostgreSQL ends whatever waits for it, and must not be cut short.
        if !has_private_database {
            match &done {
                Err(Failure::Failed(words)) => {
                    let words = words.clone();
                    end_soon(FAILED, move || last_words(log_format, &words, &[]));
                }
                _ => end_soon(0, || {}),
            }
        }
        done
    }
}

/// Completes when the program was asked to stop this many times, by a signal or by the loss of its terminal.
pub(super) fn stop_signal(times: u8) -> Result<impl Future<Output = ()>, Failure> {
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

/// Tells systemd that the server serves, and that it stops. It is first polled when the server has answered.
async fn telling_systemd(shutdown: impl Future<Output = ()>) {
    notify::tell(notify::State::Ready);
    shutdown.await;
    notify::tell(notify::State::Stopping);
}

/// Builds the program. `None`: it was asked to stop meanwhile.
async fn build(
    database: DatabaseConfig,
    serve: ServeConfig,
    shutdown: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Option<App>, Failure> {
    let mut building = Box::pin(App::build(database, serve));
    tokio::select! {
        app = &mut building => Ok(Some(app?)),
        () = shutdown => match tokio::time::timeout(TIMEOUT, building).await {
            // Dropping the program puts everything back in order.
            Ok(built) => Ok(built.map(|_| None)?),
            Err(_) => std::process::exit(1),
        },
    }
}
