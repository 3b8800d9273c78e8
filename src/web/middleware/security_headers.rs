//! Headers on every response, errors included (OWASP ASVS 3.4).

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::DefaultHeaders;

use crate::config::ServeConfig;

/// Our own files and nothing else: no inline code, no third party, no frame around us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; \
     frame-ancestors 'none'";

/// Two years, as the preload lists want it.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=63072000; includeSubDomains";

/// The headers. `no-store` is the default: a response that may be kept says so itself.
pub(in crate::web) fn of(config: &ServeConfig) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=()",
        ),
    ];
    let is_https = config
        .http
        .public_url
        .as_deref()
        .is_some_and(|url| url.starts_with("https://"));
    if is_https {
        headers.push((header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT_SECURITY));
    }
    headers
        .into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect()
}

/// Adds the headers to everything that the application answers.
pub(in crate::web) fn on_every_response(headers: &[(HeaderName, HeaderValue)]) -> DefaultHeaders {
    headers
        .iter()
        .cloned()
        .fold(DefaultHeaders::new(), DefaultHeaders::add)
}

/// Adds the headers to an error that nothing within the application has answered.
pub(in crate::web) fn on_an_error(
    error: &actix_web::Error,
    headers: &[(HeaderName, HeaderValue)],
) -> HttpResponse {
    let mut response = error.error_response();
    for (name, value) in headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}
