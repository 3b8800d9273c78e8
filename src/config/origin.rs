//! Addresses of sites, in the form that browsers send and compare.

use std::cell::Cell;

use url::{Host, Url};

use super::reader::Wrong;

/// Reads an origin (RFC 6454 6.2), and returns it with scheme and host in lower case, an international host in its
/// ASCII form, and the port unless it is the default one.
pub(super) fn origin(raw: &str) -> Result<String, Wrong> {
    serialized(raw).ok_or_else(|| {
        Wrong::new(
            format!("`{raw}` is not an origin"),
            "write it like https://app.example.org",
        )
    })
}

/// Reads the public URL of a server, in the form of an origin.
pub(super) fn public_url(raw: &str) -> Result<String, String> {
    serialized(raw).ok_or_else(|| "write scheme and host alone, like https://seat.example.org".to_owned())
}

fn serialized(raw: &str) -> Option<String> {
    // A browser forgives mistakes such as a backslash or a missing slash. In a setting they are refused.
    let is_forgiven = Cell::new(false);
    let forgive = |_| is_forgiven.set(true);
    let url = Url::options()
        .syntax_violation_callback(Some(&forgive))
        .parse(raw)
        .ok()?;
    let is_alone =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !raw.contains('@');
    let is_web = matches!(url.scheme(), "http" | "https");
    (is_web && is_alone && !is_forgiven.get() && is_usual(url.host()?))
        .then(|| url.origin().ascii_serialization())
}

/// Whether a host can exist. A URL may have hosts that no name server knows, such as `*.example.org`.
fn is_usual(host: Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for (raw, sent) in [
            ("https://App.Example.org/", "https://app.example.org"),
            ("HTTP://localhost:5173", "http://localhost:5173"),
            ("https://b.example:443", "https://b.example"),
            ("http://b.example:443", "http://b.example:443"),
            ("http://b.example:80/", "http://b.example"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            (
                "https://BÜCHER.example:8443",
                "https://xn--bcher-kva.example:8443",
            ),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("https://例え.テスト", "https://xn--r8jz45g.xn--zckzah"),
            ("https://my_app.example.org", "https://my_app.example.org"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[2001:DB8:0:0::1]", "http://[2001:db8::1]"),
            ("http://192.0.2.1", "http://192.0.2.1"),
        ] {
            assert_eq!(origin(raw).ok().as_deref(), Some(sent), "{raw}");
            assert_eq!(public_url(raw).as_deref(), Ok(sent), "{raw}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for raw in [
            "",
            "*",
            "null",
            "app.example.org",
            "localhost:5173",
            "https://",
            "https://*.example.org",
            "https://app.example.org/path",
            "https://app.example.org//",
            "https://app.example.org/?",
            "https://app.example.org?x=1",
            "https://app.example.org#x",
            "https://ada@app.example.org",
            "https://@app.example.org",
            "https://ada:secret@app.example.org",
            "https:app.example.org",
            "https:\\\\app.example.org",
            "https://app.example.org\\",
            "https://app.\texample.org",
            "https://app example.org",
            "https://app.example.org:port",
            "https://app.example.org:99999",
            "https://xn--a.example",
            "https://a\"b.example",
            "https://{tenant}.example.org",
            "ftp://app.example.org",
            "ws://app.example.org",
            "file:///home/ada/page.html",
            "data:text/html,x",
            "chrome-extension://abcdefghijklmnop",
        ] {
            assert!(origin(raw).is_err(), "{raw}: {:?}", origin(raw));
            assert!(public_url(raw).is_err(), "{raw}");
        }
    }
}
