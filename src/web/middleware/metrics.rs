//! Counts requests, for the metrics.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

use crate::auth::metrics::{REQUEST_SECONDS, REQUESTS};

/// The counts of one thread, by route. Looking a count up by its labels costs more than counting, so each is
/// looked up once.
#[derive(Default)]
pub(in crate::web) struct Counts(RefCell<HashMap<String, OfRoute>>);

#[derive(Default)]
struct OfRoute {
    seconds: Option<Histogram>,
    requests: HashMap<(&'static str, StatusCode), Counter>,
}

impl Counts {
    /// Counts the request by the name of its route, which is the pattern; all unknown paths count as one.
    pub(in crate::web) fn count(
        &self,
        route: Option<&str>,
        method: &Method,
        began: Instant,
        answer: &HttpResponse,
    ) {
        let route = route.unwrap_or("none");
        let mut routes = self.0.borrow_mut();
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), OfRoute::default());
        }
        let Some(counts) = routes.get_mut(route) else {
            return;
        };
        if answer.body().size() != BodySize::Stream {
            let seconds = || histogram!(REQUEST_SECONDS, "route" => route.to_owned());
            let seconds = counts.seconds.get_or_insert_with(seconds);
            seconds.record(began.elapsed());
        }
        let (method, status) = (known(method), answer.status());
        let requests = || {
            let status = status.as_str().to_owned();
            counter!(REQUESTS, "route" => route.to_owned(), "method" => method, "status" => status)
        };
        let requests = counts.requests.entry((method, status)).or_insert_with(requests);
        requests.increment(1);
    }
}

/// The method's label. Clients can make methods up, and each would be a series for ever.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
