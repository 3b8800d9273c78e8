//! A panic in a handler is one failed request: a 500 problem for the caller and a line in the log.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use futures_util::FutureExt;

use crate::web::problem::Problem;

/// Catches panics of handlers, extractors and routes.
pub(in crate::web) async fn a_panic_is_a_problem(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (method, path) = (request.method().clone(), request.path().to_owned());
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(answer) => Ok(answer?.map_into_boxed_body()),
        Err(_) => {
            // The message and place of the panic are in the log already.
            log::error!("{method} {path:?} ended in a panic");
            Err(Problem::internal().into())
        }
    }
}
