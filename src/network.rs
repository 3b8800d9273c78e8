//! The networks of an address, by which work is shared out: what one customer has, and what many share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

tokio::task_local! {
    static CURRENT: Networks;
}

/// The nested networks of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Networks {
    /// The network of a provider: a /16 of IPv4, a /32 of IPv6.
    allocation: IpAddr,
    /// The most that one customer has (RFC 6177): a /24 of IPv4, a /48 of IPv6.
    site: IpAddr,
    /// The least that one customer has: an address of IPv4, a /64 of IPv6.
    subnet: IpAddr,
}

impl Networks {
    /// The networks of an address.
    pub fn of(address: IpAddr) -> Self {
        Self {
            allocation: prefix(address, 16, 32),
            site: prefix(address, 24, 48),
            subnet: network_of(address),
        }
    }

    /// The networks of the current request, or [`Self::OWN`].
    pub fn current() -> Self {
        CURRENT.try_with(|networks| *networks).unwrap_or(Self::OWN)
    }

    /// Runs `answering` with these networks.
    pub fn scope<F: Future>(self, answering: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, answering)
    }

    /// The networks, the widest first.
    pub fn tiers(self) -> [IpAddr; 3] {
        [self.allocation, self.site, self.subnet]
    }

    /// The most that one customer has.
    pub fn site(self) -> IpAddr {
        self.site
    }

    /// The first and the last address of the site.
    pub fn site_range(self) -> (IpAddr, IpAddr) {
        let last = match self.site {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() | u32::MAX >> 24).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() | u128::MAX >> 48).into(),
        };
        (self.site, last)
    }

    /// The least that one customer has.
    pub fn subnet(self) -> IpAddr {
        self.subnet
    }

    /// The networks of the program's own work, such as a command.
    pub const OWN: Self = Self {
        allocation: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        site: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        subnet: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
}

/// What one customer of a network gets: an IPv4 address, or the /64 of an IPv6 address.
pub fn network_of(address: IpAddr) -> IpAddr {
    prefix(address, 32, 64)
}

/// The network of an address with this many bits; an IPv4-mapped address is IPv4.
pub fn prefix(address: IpAddr, v4_bits: u32, v6_bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - v4_bits).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - v6_bits).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_reaches_from_its_first_address_to_its_last() {
        for (address, first, last) in [
            ("192.0.2.77", "192.0.2.0", "192.0.2.255"),
            (
                "2001:db8:1:2:3::4",
                "2001:db8:1::",
                "2001:db8:1:ffff:ffff:ffff:ffff:ffff",
            ),
        ] {
            let range = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(Networks::of(address.parse().unwrap()).site_range(), range);
        }
    }

    #[test]
    fn an_address_is_in_the_networks_of_its_customer_its_site_and_its_provider() {
        for (address, tiers) in [
            ("192.0.2.77", ["192.0.0.0", "192.0.2.0", "192.0.2.77"]),
            ("::ffff:192.0.2.77", ["192.0.0.0", "192.0.2.0", "192.0.2.77"]),
            (
                "2001:db8:1fff:2fff:3::4",
                ["2001:db8::", "2001:db8:1fff::", "2001:db8:1fff:2fff::"],
            ),
        ] {
            let address = address.parse().unwrap();
            let networks = Networks::of(address);
            let tiers = tiers.map(|tier| tier.parse::<IpAddr>().unwrap());
            assert_eq!(networks.tiers(), tiers);
            assert_eq!((networks.site(), networks.subnet()), (tiers[1], tiers[2]));
            assert_eq!(network_of(address), tiers[2]);
        }
    }

    #[test]
    fn a_prefix_keeps_its_bits_and_no_others() {
        for (address, v4, v6, network) in [
            ("192.0.2.77", 24, 48, "192.0.2.0"),
            ("192.0.2.77", 32, 64, "192.0.2.77"),
            ("::ffff:192.0.2.77", 24, 48, "192.0.2.0"),
            ("2001:db8:1:2:3::4", 32, 64, "2001:db8:1:2::"),
            ("2001:db8:1:2ff:3::4", 32, 56, "2001:db8:1:200::"),
            ("2001:db8:1:2:3::4", 24, 48, "2001:db8:1::"),
            ("2001:db8:1:2:3::4", 0, 0, "::"),
        ] {
            assert_eq!(
                prefix(address.parse().unwrap(), v4, v6),
                network.parse::<IpAddr>().unwrap()
            );
        }
    }
}
