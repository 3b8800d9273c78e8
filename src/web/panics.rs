//! A panic in a handler is one failed request: a 500 problem for the caller and a line in the log.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use futures_util::FutureExt;

use super::problem::Problem;

/// Catches what a handler, an extractor or a middleware further in throws.
pub(super) async fn a_panic_is_a_problem(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (method, path) = (request.method().clone(), request.path().to_owned());
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(answer) => Ok(answer?.map_into_boxed_body()),
        Err(_) => {
            // What it said and where went to the log when it happened.
            log::error!("{method} {path:?} ended in a panic");
            Err(Problem::internal().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::{App, test, web};

    use super::*;

    #[actix_web::test]
    async fn the_caller_gets_a_problem_and_the_next_one_an_answer() {
        async fn handler(query: web::Query<std::collections::HashMap<String, String>>) -> &'static str {
            assert!(query.is_empty(), "a panic on purpose");
            "fine"
        }
        let app = App::new()
            .wrap(from_fn(a_panic_is_a_problem))
            .route("/", web::get().to(handler));
        let app = test::init_service(app).await;
        let error = test::try_call_service(&app, test::TestRequest::with_uri("/?a=b").to_request())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "500 internal");
        let fine = test::call_service(&app, test::TestRequest::with_uri("/").to_request()).await;
        assert_eq!(fine.status(), 200);
    }
}
