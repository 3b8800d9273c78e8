//! The client's address and user agent.
//!
//! A forwarded address counts only if trusted proxies vouch for it. It is read from the right (OWASP ASVS
//! 4.1.3): each proxy appends the address it heard from, so a client can make up only the leftmost entries.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, USER_AGENT};
use actix_web::{FromRequest, HttpRequest, web};
use ipnetwork::IpNetwork;

use crate::request_id::RequestId;
use crate::sessions::Origin;
use crate::sessions::pages::LastHeard;

pub(in crate::web) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(in crate::web) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The networks of trusted proxies. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNetwork]>,
    /// The trusted proxies that have sent a request, and when each was last heard.
    heard: Arc<RwLock<HashMap<IpAddr, LastHeard>>>,
}

/// The client that X-Forwarded-For names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) struct Named {
    pub(in crate::web) client: IpAddr,
    pub(in crate::web) rest: Rest,
}

/// What stands in X-Forwarded-For to the left of the client, where no trusted proxy has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Rest {
    Nothing,
    /// Entries that the client or an untrusted proxy has written.
    Entries,
    /// The nearest entry is no address, although a trusted proxy wrote it or handed it on.
    Unreadable,
}

impl TrustedProxies {
    /// Trusts these networks. An empty list trusts nobody.
    pub fn new(networks: Vec<IpNetwork>) -> Self {
        Self {
            networks: networks.into(),
            heard: Arc::default(),
        }
    }

    /// Notes that this peer has sent a request, if it is a trusted proxy. Returns the record of when it was last
    /// heard, which later requests update.
    pub(in crate::web) fn note(&self, peer: IpAddr) -> Option<LastHeard> {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return None;
        }
        let known = self
            .heard
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&peer)
            .cloned();
        let last = known.unwrap_or_else(|| {
            let mut heard = self.heard.write().unwrap_or_else(PoisonError::into_inner);
            heard.entry(peer).or_insert_with(LastHeard::now).clone()
        });
        last.note();
        Some(last)
    }

    pub(in crate::web) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The client's address.
    pub(in crate::web) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        match self.trusts(peer) {
            true => self.named(peer, headers).client,
            false => peer,
        }
    }

    /// The nearest address that is no trusted proxy's, or else the leftmost one. An unreadable entry ends the
    /// search, because nobody knows what stands before it.
    pub(in crate::web) fn named(&self, peer: IpAddr, headers: &HeaderMap) -> Named {
        let entries: Vec<&[u8]> = headers
            .get_all(X_FORWARDED_FOR)
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .collect();
        let mut client = peer.to_canonical();
        for entry in entries.into_iter().rev() {
            let rest = match read(entry) {
                _ if !self.trusts(client) => Rest::Entries,
                None => Rest::Unreadable,
                Some(address) => {
                    client = address;
                    continue;
                }
            };
            return Named { client, rest };
        }
        let rest = Rest::Nothing;
        Named { client, rest }
    }

    /// The id that a trusted proxy gave the request. `None` if there are two: then the proxy has added its own to
    /// the client's, and nobody knows which is which.
    pub(in crate::web) fn request_id(&self, peer: IpAddr, headers: &HeaderMap) -> Option<RequestId> {
        if !self.trusts(peer.to_canonical()) {
            return None;
        }
        let mut ids = headers.get_all(X_REQUEST_ID);
        let id = ids.next()?;
        ids.next().is_none().then(|| RequestId::given(id.as_bytes()))?
    }
}

fn read(entry: &[u8]) -> Option<IpAddr> {
    parse(std::str::from_utf8(entry).ok()?.trim())
}

/// Parses an address with or without brackets and port.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = entry
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(entry);
    bare.parse::<IpAddr>()
        .or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

/// The caller's origin, as a session records it. Never refuses, whatever the headers say.
#[derive(Clone, Debug)]
pub struct ClientInfo(pub Origin);

impl FromRequest for ClientInfo {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(origin(request))))
    }
}

/// The address at the other end of the connection, which TCP always knows.
pub(in crate::web) fn address_of(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}

/// The client's address and user agent.
pub(in crate::web) fn origin(request: &HttpRequest) -> Origin {
    let (peer, headers) = (address_of(request.peer_addr()), request.headers());
    let proxies = request.app_data::<web::Data<TrustedProxies>>();
    let address = proxies.map_or(peer, |proxies| proxies.client(peer, headers));
    Origin::new(address, headers.get(USER_AGENT).map(|value| value.as_bytes()))
}

/// Notes the trusted proxy that sent the request, if one did. Returns the record of when it was last heard.
pub(in crate::web) fn proxy(request: &HttpRequest) -> Option<LastHeard> {
    let proxies = request.app_data::<web::Data<TrustedProxies>>()?;
    proxies.note(address_of(request.peer_addr()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(trusted.split(',').map(|net| net.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nobody_else_is_believed() {
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn the_nearest_untrusted_address_is_the_client() {
        let hops = ["6.6.6.6, 203.0.113.9", "10.0.0.2"];
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &hops), "203.0.113.9");
    }

    #[test]
    fn other_headers_that_name_a_client_do_not_count() {
        let proxies = TrustedProxies::new(vec!["10.0.0.1".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x-client-ip", "6.6.6.6"),
            ("true-client-ip", "6.6.6.6"),
        ] {
            headers.append(name.parse().unwrap(), HeaderValue::from_static(value));
        }
        let proxy = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(proxies.client(proxy, &headers), proxy);
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.9"));
        assert_eq!(proxies.client(proxy, &headers).to_string(), "203.0.113.9");
    }

    #[test]
    fn every_usual_form_is_read() {
        for (form, address) in [
            ("1.2.3.4:5555", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
        ] {
            assert_eq!(client("10.0.0.1", "::ffff:10.0.0.1", &[form]), address);
        }
    }

    #[test]
    fn an_unreadable_part_hides_nothing_that_a_proxy_wrote_after_it() {
        let proxies = TrustedProxies::new(vec!["10.0.0.1".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("6.6.6.6"));
        headers.append(
            X_FORWARDED_FOR,
            HeaderValue::from_bytes(b"\xff, 203.0.113.9").unwrap(),
        );
        assert_eq!(
            proxies.client("10.0.0.1".parse().unwrap(), &headers).to_string(),
            "203.0.113.9"
        );
    }

    #[test]
    fn garbage_leaves_the_proxy_as_the_client() {
        for garbage in ["garbage", "", "1.2.3.4.5", "203.0.113.9, unknown"] {
            assert_eq!(client("10.0.0.1", "10.0.0.1", &[garbage]), "10.0.0.1");
        }
    }

    /// Any value that a header may hold. Most are nearly a list of addresses.
    fn any_value() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8];
        prop_oneof![
            vec(byte, 0..60),
            "[0-9a-f.:,%/\\[\\] ]{0,60}".prop_map(String::into_bytes),
            any::<Vec<IpAddr>>().prop_map(|list| {
                let list: Vec<String> = list.iter().take(5).map(ToString::to_string).collect();
                list.join(", ").into_bytes()
            }),
        ]
    }

    fn forwarded(values: &[Vec<u8>]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn without_a_trusted_proxy_the_peer_is_the_client(peer: IpAddr, values in vec(any_value(), 0..4)) {
            let client = TrustedProxies::default().client(peer, &forwarded(&values));
            prop_assert_eq!(client, peer.to_canonical());
        }

        #[test]
        fn every_set_of_trusted_proxies_leads_to_an_answer(peer: IpAddr, values in vec(any_value(), 0..4)) {
            let everybody = ["0.0.0.0/0", "::/0"].map(|network| network.parse().unwrap());
            TrustedProxies::new(everybody.into()).client(peer, &forwarded(&values));
        }

        #[test]
        fn what_is_put_before_the_clients_own_address_changes_nothing(
            before in vec(any_value(), 0..3),
            in_the_same_header in any_value(),
            last in 0..=255_u8,
            hops in vec(0..=255_u8, 0..3),
        ) {
            let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
            let peer = IpAddr::from([10, 0, 0, 1]);
            let client = IpAddr::from([203, 0, 113, last]);
            let mut own = client.to_string();
            for hop in hops {
                own.push_str(&format!(", 10.0.0.{hop}"));
            }
            prop_assert_eq!(proxies.client(peer, &forwarded(&[own.clone().into_bytes()])), client);
            let mut values = before;
            values.push([&in_the_same_header[..], b",", own.as_bytes()].concat());
            prop_assert_eq!(proxies.client(peer, &forwarded(&values)), client);
        }

        #[test]
        fn every_form_of_an_address_reads_back(address: IpAddr, port: u16) {
            let expected = Some(address.to_canonical());
            prop_assert_eq!(parse(&address.to_string()), expected);
            prop_assert_eq!(parse(&format!("[{address}]")), expected);
            prop_assert_eq!(parse(&SocketAddr::new(address, port).to_string()), expected);
        }
    }
}
