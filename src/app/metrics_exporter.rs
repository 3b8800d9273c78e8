//! The metrics for Prometheus, on an address of their own: they are for operators alone.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix::{Actor, Recipient};
use actix_web::http::header;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use metrics_exporter_prometheus::PrometheusHandle;

use super::background::actor::{Background, Stop};
use crate::auth::{Auth, metrics};
use crate::web::http1::{Running, SelfCheck, Workers, listen_on};

/// The text format of Prometheus.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How often the histograms are put in order, scraped or not.
const UPKEEP: Duration = Duration::from_secs(5);
/// The threads that answer.
const WORKERS: usize = 1;

/// A port that is taken and does not answer yet. The program counts already.
pub(super) struct MetricsExporter(TcpListener, PrometheusHandle);

/// An exporter that answers.
pub(super) struct RunningExporter {
    pub(super) server: Running,
    _upkeep: Recipient<Stop>,
}

impl MetricsExporter {
    /// Takes the port, and counts from now on. It must come before the parts that count, which keep the counters
    /// that they got.
    ///
    /// # Errors
    /// When the port is in use or not this machine's; the error names the flag. When another part of the
    /// program counts already.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = listen_on(address, "--metrics-bind")?;
        Ok(Self(listener, metrics::start().map_err(io::Error::other)?))
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Answers `GET /metrics` and nothing else.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(super) async fn start(self, auth: Auth) -> io::Result<RunningExporter> {
        let Self(listener, counts) = self;
        let address = listener.local_addr()?;
        let upkeep = {
            let counts = counts.clone();
            Background::new(UPKEEP, move || {
                counts.run_upkeep();
                std::future::ready(())
            })
        };
        let workers = Workers::new(WORKERS);
        let arriving = workers.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::new(arriving.arrive()))
                .app_data(Data::new(auth.clone()))
                .app_data(Data::new(counts.clone()))
                .route("/metrics", web::get().to(scrape))
        });
        let server = server.workers(WORKERS).disable_signals().listen(listener)?.run();
        let server = Running::start(server, workers, SelfCheck::http(address)).await?;
        log::info!("metrics on http://{address}/metrics");
        Ok(RunningExporter {
            server,
            _upkeep: upkeep.start().recipient(),
        })
    }
}

async fn scrape(auth: Data<Auth>, counts: Data<PrometheusHandle>) -> HttpResponse {
    if let Err(error) = auth.measure().await {
        log::warn!("not every metric could be measured: {error}");
    }
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(CONTENT_TYPE)
        .body(counts.render())
}
