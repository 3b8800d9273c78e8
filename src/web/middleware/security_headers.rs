//! Headers on every response, errors included (OWASP ASVS 3.4).

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::config::ServeConfig;

/// Our own files and nothing else: no inline code, no third party, no frame around us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; \
     frame-ancestors 'none'";

/// Name, value, and how the API describes it. `no-store` is the default: a response that may be kept says so
/// itself.
pub(in crate::web) const HEADERS: [(HeaderName, &str, &str); 9] = [
    (
        header::CACHE_CONTROL,
        "no-store",
        "`no-store`, but for what may be asked for again",
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        CONTENT_SECURITY_POLICY,
        "Our own files and nothing else",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff", "`nosniff`"),
    (header::X_FRAME_OPTIONS, "DENY", "`DENY`"),
    (header::REFERRER_POLICY, "no-referrer", "`no-referrer`"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
        "`same-origin`",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
        "`same-origin`",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
        "No camera, microphone, place or payment",
    ),
    // Two years, as the preload lists want it.
    (
        header::STRICT_TRANSPORT_SECURITY,
        "max-age=63072000; includeSubDomains",
        "When the public address is https",
    ),
];

/// The headers of one server.
pub(in crate::web) struct SecurityHeaders(Vec<(HeaderName, HeaderValue)>);

impl SecurityHeaders {
    pub(in crate::web) fn of(config: &ServeConfig) -> Self {
        let url = config.http.public_url.as_deref();
        let is_https = url.is_some_and(|url| url.starts_with("https://"));
        let headers = HEADERS.into_iter();
        let headers = headers.filter(|(name, ..)| is_https || *name != header::STRICT_TRANSPORT_SECURITY);
        let headers = headers.map(|(name, value, _)| (name, HeaderValue::from_static(value)));
        Self(headers.collect())
    }

    /// Adds each header that the answer does not have.
    pub(in crate::web) fn put_on(&self, answer: &mut HeaderMap) {
        for (name, value) in &self.0 {
            if !answer.contains_key(name) {
                // Costs less than `insert`, which returns what was there before.
                answer.append(name.clone(), value.clone());
            }
        }
    }
}
