//! CORS for the pages of named origins and no others (OWASP ASVS 3.4.2). Without any, CORS is off.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName};

use crate::web::extract::client::X_REQUEST_ID;

/// How long a browser may remember the answer to its preflight, in seconds.
const MAX_AGE: usize = 3_600;

/// Defined in Resource Timing 4.5.
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

/// Allows no credentials: the page sets the header with the token itself, and there is no cookie to send. Any
/// method and header of a named origin is allowed, because gateways ask here for their applications, too.
pub(in crate::web) fn of(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_any_header()
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER, X_REQUEST_ID])
        .max_age(MAX_AGE);
    origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// Lets a page that may read this answer also see its HTTP version: the client module has to know about HTTP/1.1,
/// where connections are few.
pub(in crate::web) fn allow_timing(answer: &mut HeaderMap) {
    if let Some(origin) = answer.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned() {
        answer.insert(TIMING_ALLOW_ORIGIN, origin);
    }
}
