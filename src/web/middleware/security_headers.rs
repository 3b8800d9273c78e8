//! Headers on every response, errors included (OWASP ASVS 3.4).

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::config::ServeConfig;

/// Our own files and nothing else: no inline code, no third party, no frame around us.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; \
     frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

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
        OPENER_POLICY,
        "same-origin",
        "`same-origin`, but for pages in WebKitGTK",
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

    /// Adds each header that the answer does not have, for a client with this user agent.
    pub(in crate::web) fn put_on(&self, answer: &mut HeaderMap, user_agent: Option<&HeaderValue>) {
        let is_hung_by_it = is_page(answer) && user_agent.is_some_and(|agent| is_webkitgtk(agent.as_bytes()));
        for (name, value) in &self.0 {
            if is_hung_by_it && *name == OPENER_POLICY {
                continue;
            }
            if !answer.contains_key(name) {
                // Costs less than `insert`, which returns what was there before.
                answer.append(name.clone(), value.clone());
            }
        }
    }
}

fn is_page(answer: &HeaderMap) -> bool {
    let kind = answer.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// WebKitGTK shows nothing after "Back" to a page with that policy: docs/decisions/0015. It is the one WebKit on
/// Linux (Chromium names WebKit, too, and itself).
fn is_webkitgtk(agent: &[u8]) -> bool {
    let has = |word: &[u8]| agent.windows(word.len()).any(|part| part == word);
    has(b"Linux") && has(b"AppleWebKit/") && !has(b"Chrome/") && !has(b"Android")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webkitgtk_is_told_from_the_others() {
        for (agent, is_it) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
                true,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
                false,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
                false,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
                false,
            ),
            (
                "Mozilla/5.0 (Linux; U; Android 4.0; en-us) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
                false,
            ),
        ] {
            assert_eq!(is_webkitgtk(agent.as_bytes()), is_it, "{agent}");
        }
    }
}
