//! Warns of a trusted proxy that forwards headers which its clients should not choose, as far as its requests
//! show that.
//!
//! A proxy that is set up as in docs/proxies.md sets `X-Forwarded-For` and `X-Request-Id` itself, so that
//! each comes once and with one value in every request. A proxy that forwards its client's headers looks like
//! that only while no client writes them, and it sends none if the client sends none. The check runs where
//! clients try to sign in, which health checks and services do not. Each sign is logged once for each proxy.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use ipnetwork::IpNetwork;

use crate::web::extract::client::{self, Rest, TrustedProxies, X_FORWARDED_FOR, X_REQUEST_ID};

/// Most proxies that are remembered. Further ones are not checked.
const MOST: usize = 256;

/// What was seen of each proxy.
#[derive(Debug, Default)]
pub(in crate::web) struct ProxyCheck(Mutex<HashMap<IpAddr, Seen>>);

/// What was seen of one proxy.
#[derive(Debug, Default)]
struct Seen {
    has_named: bool,
    has_not_named: bool,
    reported: Vec<Sign>,
}

/// A sign that a proxy is not set up as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    NoAddress,
    NotAnAddress,
    MoreAddresses,
    TwoNames,
    SomeNames,
}

impl Sign {
    fn words(self) -> &'static str {
        match self {
            Self::NoAddress => {
                "sends no X-Forwarded-For: it counts as the client, and a client that sends one chooses its address"
            }
            Self::NotAnAddress => "sends an X-Forwarded-For that ends in no address: it counts as the client",
            Self::MoreAddresses => {
                "hands on addresses that stood in X-Forwarded-For before: unless it adds its own client's to them, clients choose \
                 their address"
            }
            Self::TwoNames => "sends X-Request-Id twice: one is of its client, and none is used",
            Self::SomeNames => {
                "sends an X-Request-Id with some requests only: where it sets none, clients choose the names of their requests"
            }
        }
    }
}

/// Looks at a request, and logs each new sign of the trusted proxy that sent it, if one did.
pub(in crate::web) fn look(request: &HttpRequest) {
    let proxies = request.app_data::<Data<TrustedProxies>>();
    let check = request.app_data::<Data<ProxyCheck>>();
    if let Some((proxies, check)) = proxies.zip(check) {
        let peer = client::address_of(request.peer_addr());
        check.look(proxies, peer, request.headers());
    }
}

impl ProxyCheck {
    fn look(&self, proxies: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) {
        let proxy = peer.to_canonical();
        if !proxies.trusts(proxy) {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&proxy) {
            return;
        }
        let seen = all.entry(proxy).or_default();
        let signs = [address_sign(proxies, proxy, headers), seen.name_sign(headers)];
        for sign in signs.into_iter().flatten() {
            if !seen.reported.contains(&sign) {
                seen.reported.push(sign);
                log::warn!(proxy:%; "a trusted proxy {} (see docs/proxies.md)", sign.words());
            }
        }
    }
}

fn address_sign(proxies: &TrustedProxies, proxy: IpAddr, headers: &HeaderMap) -> Option<Sign> {
    if !headers.contains_key(X_FORWARDED_FOR) {
        return Some(Sign::NoAddress);
    }
    match proxies.named(proxy, headers).rest {
        Rest::Nothing => None,
        Rest::Entries => Some(Sign::MoreAddresses),
        Rest::Unreadable => Some(Sign::NotAnAddress),
    }
}

impl Seen {
    fn name_sign(&mut self, headers: &HeaderMap) -> Option<Sign> {
        match headers.get_all(X_REQUEST_ID).count() {
            0 => self.has_not_named = true,
            1 => self.has_named = true,
            _ => return Some(Sign::TwoNames),
        }
        (self.has_named && self.has_not_named).then_some(Sign::SomeNames)
    }
}

/// Warns at startup of a network that includes everybody: then a client chooses its own address.
pub(in crate::web) fn warn_of_everybody(networks: &[IpNetwork]) {
    for network in networks.iter().filter(|network| network.prefix() == 0) {
        log::warn!(
            "--trusted-proxies {network} trusts everybody: clients choose their address and the names of their requests"
        );
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::captured_log;

    /// The warnings after a request from this peer with these headers.
    fn told(
        proxies: &TrustedProxies,
        check: &ProxyCheck,
        peer: &str,
        headers: &[(&str, &str)],
    ) -> Vec<String> {
        captured_log::start();
        captured_log::lines();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        check.look(proxies, peer.parse().unwrap(), &map);
        captured_log::lines()
    }

    #[test]
    fn each_sign_is_told_once_for_each_proxy() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let check = ProxyCheck::default();
        let all: [(&[(&str, &str)], &str); 5] = [
            (&[("x-request-id", "a")], "sends no X-Forwarded-For"),
            (
                &[("x-forwarded-for", "unknown"), ("x-request-id", "a")],
                "ends in no address",
            ),
            (
                &[("x-forwarded-for", "192.0.2.1, 192.0.2.2"), ("x-request-id", "a")],
                "hands on addresses",
            ),
            (
                &[
                    ("x-forwarded-for", "192.0.2.2"),
                    ("x-request-id", "a"),
                    ("x-request-id", "b"),
                ],
                "sends X-Request-Id twice",
            ),
            (&[("x-forwarded-for", "192.0.2.2")], "with some requests only"),
        ];
        for proxy in ["10.0.0.1", "::ffff:10.0.0.2"] {
            for (headers, words) in all {
                let lines = told(&proxies, &check, proxy, headers);
                assert!(lines.len() == 1 && lines[0].contains(words), "{lines:?}");
                assert!(lines[0].starts_with("WARN a trusted proxy "), "{lines:?}");
                let again = told(&proxies, &check, proxy, headers);
                assert!(again.is_empty(), "{again:?}");
            }
        }
    }

    #[test]
    fn a_proxy_that_sets_both_headers_is_not_warned_of_nor_is_anybody_who_is_no_proxy() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let check = ProxyCheck::default();
        for (peer, address) in [
            ("10.0.0.1", "192.0.2.1"),
            ("10.0.0.1", "192.0.2.7, 10.0.0.9"),
            // Its client is within the trusted network.
            ("10.0.0.1", "10.0.0.3"),
            ("192.0.2.1", "203.0.113.1, garbage"),
        ] {
            let headers = [("x-forwarded-for", address), ("x-request-id", "a")];
            let lines = told(&proxies, &check, peer, &headers);
            assert!(lines.is_empty(), "{peer} {address}: {lines:?}");
        }
        assert!(told(&proxies, &check, "192.0.2.1", &[]).is_empty());
    }

    #[test]
    fn the_memory_is_bounded() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let check = ProxyCheck::default();
        for n in 0..MOST {
            let proxy = format!("10.0.{}.{}", n / 256, n % 256);
            assert_eq!(told(&proxies, &check, &proxy, &[]).len(), 1);
        }
        assert!(told(&proxies, &check, "10.1.0.0", &[]).is_empty());
        assert_eq!(check.0.lock().unwrap().len(), MOST);
        // Those that are remembered are still looked at: this one sent no name before.
        let named = [("x-forwarded-for", "192.0.2.2"), ("x-request-id", "a")];
        assert_eq!(told(&proxies, &check, "10.0.0.0", &named).len(), 1);
    }

    #[test]
    fn a_setting_that_trusts_everybody_is_told_at_the_start() {
        captured_log::start();
        captured_log::lines();
        let networks = ["0.0.0.0/0", "10.0.0.0/8", "::/0"].map(|network| network.parse().unwrap());
        warn_of_everybody(&networks);
        let lines = captured_log::lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("0.0.0.0/0 trusts everybody"), "{lines:?}");
    }
}
