//! What a Prometheus scrapes, on an address of its own: figures for operators are nobody else's business.

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use metrics::{counter, histogram};
use metrics_exporter_prometheus::PrometheusHandle;

use super::supervisor::Workers;
use crate::auth::Auth;
use crate::auth::metrics::{REQUEST_SECONDS, REQUESTS};
use crate::background::Background;

/// The text format of Prometheus.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How often the histograms are put in order, whether or not anybody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// The threads that answer.
pub(super) const WORKERS: usize = 1;

/// Answers `GET /metrics` and nothing else.
pub(super) fn listen(
    listener: TcpListener,
    auth: Auth,
    handle: PrometheusHandle,
    workers: Workers,
) -> io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(workers.arrive()))
            .app_data(Data::new(auth.clone()))
            .app_data(Data::new(handle.clone()))
            .route("/metrics", web::get().to(scrape))
    });
    Ok(server.workers(WORKERS).disable_signals().listen(listener)?.run())
}

/// Keeps the histograms small.
pub(super) fn upkeep(handle: PrometheusHandle) -> Background<impl Fn() -> std::future::Ready<()> + Unpin> {
    Background::new(UPKEEP, move || {
        handle.run_upkeep();
        std::future::ready(())
    })
}

async fn scrape(auth: Data<Auth>, handle: Data<PrometheusHandle>) -> HttpResponse {
    if let Err(error) = auth.measure().await {
        log::warn!("not all is measured: {error}");
    }
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(CONTENT_TYPE)
        .body(handle.render())
}

/// Clients can make methods up, and each would be a series for ever.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Counts the request by the pattern of its route: addresses that nobody serves are one. Stands around whatever answers by itself, so
/// that panics and preflights count, too.
pub(super) async fn count<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let method = known(request.method());
    // Before it is on its way: of one that ends in a panic nothing is left to ask.
    let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
    let began = Instant::now();
    let answer = next.call(request).await;
    let (status, is_stream) = match &answer {
        Ok(answer) => (
            answer.status(),
            answer.response().body().size() == BodySize::Stream,
        ),
        Err(error) => (error.as_response_error().status_code(), false),
    };
    if !is_stream {
        histogram!(REQUEST_SECONDS, "route" => route.clone()).record(began.elapsed());
    }
    let status = status.as_str().to_owned();
    counter!(REQUESTS, "route" => route, "method" => method, "status" => status).increment(1);
    answer
}
