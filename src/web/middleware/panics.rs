//! A panic in a handler is one failed request: a 500 problem for the caller and a line in the log.

use std::panic::AssertUnwindSafe;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use futures_util::FutureExt;

use crate::web::problem::Problem;

/// Catches panics of handlers and extractors. It wraps each resource.
pub(in crate::web) fn a_panic_is_a_problem<S>(
    request: ServiceRequest,
    resource: &S,
) -> impl Future<Output = Result<ServiceResponse, actix_web::Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>,
{
    let asked = request.request().clone();
    let answer = AssertUnwindSafe(resource.call(request)).catch_unwind();
    async move {
        answer.await.unwrap_or_else(|_| {
            // The message and place of the panic are in the log already.
            log::error!("{} {:?} ended in a panic", asked.method(), asked.path());
            Ok(ServiceResponse::from_err(Problem::internal(), asked))
        })
    }
}
