//! A handler that answers the same bytes without a database: the upper limit of the web server.

use std::net::SocketAddr;

use actix_web::http::header::ContentType;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer, rt};
use anyhow::Result;

/// Serves until the process ends.
pub(super) fn serve(body: String, workers: usize) -> Result<SocketAddr> {
    let listener = super::listener()?;
    let address = listener.local_addr()?;
    let body = Bytes::from(body);
    let server = HttpServer::new(move || {
        let body = body.clone();
        let answer = move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type(ContentType::json()).body(body) }
        };
        App::new().route("/auth/session", web::get().to(answer))
    });
    rt::spawn(server.workers(workers).disable_signals().listen(listener)?.run());
    Ok(address)
}
