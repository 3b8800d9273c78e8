//! The origin of a sign-in, for users to recognise: never a reason to refuse one.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use sha2::{Digest, Sha256};

use super::Device;
use crate::network::{Networks, network_of};
use crate::unseen;

/// The longest user agent kept, in characters; the column's check has the same limit.
const USER_AGENT_LENGTH: usize = 512;

/// The address and browser behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    address: IpAddr,
    user_agent: Option<String>,
}

impl Origin {
    /// `user_agent` is the header's raw value and may be anything. Invalid UTF-8 and control characters are
    /// replaced, and a long value is cut.
    pub fn new(address: IpAddr, user_agent: Option<&[u8]>) -> Self {
        let user_agent = user_agent.map(|raw| {
            let printable =
                unseen::replaced(String::from_utf8_lossy(raw).trim(), char::REPLACEMENT_CHARACTER);
            printable.chars().take(USER_AGENT_LENGTH).collect::<String>()
        });
        Self {
            // ::ffff:192.0.2.1 and 192.0.2.1 are one address.
            address: address.to_canonical(),
            user_agent: user_agent.filter(|text| !text.is_empty()),
        }
    }

    /// The address: IPv4, or IPv6 that is not IPv4-mapped.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The address as a single host of PostgreSQL's `inet`.
    pub fn network(&self) -> IpNetwork {
        IpNetwork::from(self.address)
    }

    /// The networks of this origin, among which work is shared fairly.
    pub fn networks(&self) -> Networks {
        Networks::of(self.address)
    }

    /// The text that a search of lists looks at: the device in words and the address, in lower case.
    pub fn folded(&self) -> String {
        format!("{} {}", Device::of(self.user_agent()), self.address).to_lowercase()
    }

    /// SHA-256 of the place: the network of one customer, which stays the same when they choose another
    /// address in it, and the browser without its version.
    pub fn place_digest(&self) -> [u8; 32] {
        let network = network_of(self.address);
        let device = Device::of(self.user_agent()).without_version();
        Sha256::digest(format!("{network}\n{device}")).into()
    }

    /// The user agent: printable, at most 512 characters, never empty.
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_agent(raw: &[u8]) -> Option<String> {
        let origin = Origin::new(IpAddr::from([192, 0, 2, 1]), Some(raw));
        origin.user_agent().map(str::to_owned)
    }

    #[test]
    fn an_over_long_user_agent_is_cut() {
        let kept = user_agent("ü".repeat(10_000).as_bytes()).unwrap();
        assert_eq!(kept.chars().count(), 512);
    }

    #[test]
    fn a_user_agent_that_is_not_utf8_is_cleaned() {
        assert_eq!(user_agent(b"a\xffb\tc").as_deref(), Some("a\u{fffd}b\u{fffd}c"));
        assert_eq!(user_agent("a\u{202e}b".as_bytes()).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(user_agent(b"  "), None);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let origin = Origin::new("::ffff:192.0.2.1".parse().unwrap(), None);
        assert_eq!(origin.address(), IpAddr::from([192, 0, 2, 1]));
    }
}
