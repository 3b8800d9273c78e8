//! Headers on every response, errors included (OWASP ASVS 3.4).

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::config::ServeConfig;

/// Our own files and nothing else: no inline code, no third party, no frame around us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; \
     frame-ancestors 'none'";

/// Name, value, and how the API describes it. `no-store` is the default: a response that may be kept says so
/// itself.
pub(in crate::web) const HEADERS: [(HeaderName, &str, &str); 8] = [
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
];

/// As [`HEADERS`], when the public URL is https. Two years, as the preload lists want it.
pub(in crate::web) const OF_HTTPS: (HeaderName, &str, &str) = (
    header::STRICT_TRANSPORT_SECURITY,
    "max-age=63072000; includeSubDomains",
    "When the public address is https",
);

/// The headers of one server.
pub(in crate::web) struct SecurityHeaders(Vec<(HeaderName, HeaderValue)>);

impl SecurityHeaders {
    pub(in crate::web) fn of(config: &ServeConfig) -> Self {
        let url = config.http.public_url.as_deref();
        let is_https = url.is_some_and(|url| url.starts_with("https://"));
        let headers = HEADERS.into_iter().chain(is_https.then_some(OF_HTTPS));
        Self(
            headers
                .map(|(name, value, _)| (name, HeaderValue::from_static(value)))
                .collect(),
        )
    }

    /// Adds each header that the answer does not have.
    pub(in crate::web) fn put_on(&self, answer: &mut HeaderMap) {
        for (name, value) in &self.0 {
            // Few answers have one of their own.
            let own = answer.insert(name.clone(), value.clone()).next();
            if let Some(own) = own {
                answer.insert(name.clone(), own);
            }
        }
    }
}
