//! The names by which mail servers know this one. Strict servers refuse a name without a dot (504), and filters
//! distrust it, so the name of the machine is used only where there is no better one.

use lettre::message::Mailbox;
use lettre::transport::smtp::extension::ClientId;
use url::{Host, Url};
use uuid::Uuid;

/// The name in `EHLO` (RFC 5321 4.1.4): the host of the public URL, or else the sender's domain. `None`: neither
/// is the name of a host on a network.
pub(super) fn hello(public_url: Option<&str>, from: &Mailbox) -> Option<ClientId> {
    let of_url = public_url
        .and_then(|url| Url::parse(url).ok())
        .and_then(|url| url.host().map(|host| host.to_owned()));
    let of_sender = Host::parse(from.email.domain()).ok();
    [of_url, of_sender].into_iter().flatten().find_map(client_id)
}

/// A new `Message-ID` (RFC 5322 3.6.4). A mail that is sent again has another link and gets another id:
/// mailboxes drop the second mail with the same one.
pub(super) fn message_id(from: &Mailbox) -> String {
    let domain = from.email.domain();
    let domain = Host::parse(domain).map_or_else(|_| domain.to_owned(), |host| host.to_string());
    format!("<{}@{domain}>", Uuid::new_v4())
}

fn client_id(host: Host<String>) -> Option<ClientId> {
    match host {
        Host::Domain(name) if is_qualified(&name) => Some(ClientId::Domain(name)),
        Host::Ipv4(address) if !address.is_loopback() => Some(ClientId::Ipv4(address)),
        Host::Ipv6(address) if !address.is_loopback() => Some(ClientId::Ipv6(address)),
        Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// Whether the name has a dot, and only characters of host names (RFC 1123 2.1).
fn is_qualified(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_inside)
    };
    name.contains('.') && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_is_told_a_qualified_name() {
        for (url, from, name) in [
            ("https://seat.example.org", "seat@example.org", "seat.example.org"),
            (
                "https://seat.example.org:8443",
                "seat@other.example",
                "seat.example.org",
            ),
            (
                "https://xn--bcher-kva.example",
                "seat@example.org",
                "xn--bcher-kva.example",
            ),
            ("http://localhost:8080", "seat@example.org", "example.org"),
            (
                "http://seat",
                "oneseat <seat@münchen.example>",
                "xn--mnchen-3ya.example",
            ),
            ("https://my_seat.example.org", "seat@example.org", "example.org"),
            ("http://127.0.0.1:8080", "seat@example.org", "example.org"),
            ("http://192.0.2.1", "seat@example.org", "[192.0.2.1]"),
            ("http://[2001:db8::1]", "seat@example.org", "[IPv6:2001:db8::1]"),
        ] {
            let told = hello(Some(url), &from.parse().unwrap()).map(|name| name.to_string());
            assert_eq!(told.as_deref(), Some(name), "{url}, {from}");
        }
        assert_eq!(
            hello(Some("http://localhost"), &"seat@localhost".parse().unwrap()),
            None
        );
        assert!(hello(None, &"seat@example.org".parse().unwrap()).is_some());
    }

    #[test]
    fn a_mail_has_an_id_of_its_senders_domain_and_never_the_same_twice() {
        let from = "oneseat <seat@münchen.example>".parse().unwrap();
        let (one, other) = (message_id(&from), message_id(&from));
        assert!(
            one.starts_with('<') && one.ends_with("@xn--mnchen-3ya.example>"),
            "{one}"
        );
        assert_ne!(one, other);
    }
}
