//! Counts requests, for the metrics.

use std::time::Instant;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use metrics::{counter, histogram};

use crate::auth::metrics::{REQUEST_SECONDS, REQUESTS};

/// The method's label. Clients can make methods up, and each would be a series for ever.
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

/// Counts the request by the pattern of its route; all unknown paths count as one. It wraps everything that
/// answers by itself, so that panics and preflights count, too.
pub(in crate::web) async fn count<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let method = known(request.method());
    // Read before the call: after a panic there is nothing left to ask.
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
