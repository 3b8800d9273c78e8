//! The limit of connections. No network alone can take all of them.
//!
//! A network (a /24 of IPv4, a /48 of IPv6) may take one more while it has fewer than four times as many as
//! are free. So each network leaves a fifth of what it found: one alone leaves a fifth of all, two a
//! twenty-fifth. Several together can take all: seven of them take 20,000.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network::Networks;
use crate::web::extract::client::TrustedProxies;

/// How many connections one network may have for each that is free.
const OF_WHAT_IS_FREE: usize = 4;

/// The connection limit of one instance. Cheap to clone.
#[derive(Clone)]
pub(in crate::web) struct ConnectionLimit {
    most: usize,
    proxies: TrustedProxies,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// One connection's place. Dropping it gives the place back.
pub(in crate::web) struct Place {
    places: ConnectionLimit,
    /// `None` for a trusted proxy, because its client is not known yet.
    network: Option<IpAddr>,
}

impl ConnectionLimit {
    pub(in crate::web) fn new(most: usize, proxies: TrustedProxies) -> Self {
        Self {
            most,
            proxies,
            taken: Arc::default(),
        }
    }

    /// Takes a place for one more connection, unless its network has too many of those that are left. A
    /// trusted proxy may take all.
    pub(in crate::web) fn take(&self, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let network = (!self.proxies.trusts(peer)).then(|| Networks::of(peer).site());
        let mut taken = self.taken();
        if let Some(network) = network {
            let free = self.most.saturating_sub(taken.all);
            let own = taken.by_network.get(&network).copied().unwrap_or_default();
            if own >= OF_WHAT_IS_FREE.saturating_mul(free) {
                return None;
            }
            taken.by_network.insert(network, own + 1);
        }
        taken.all += 1;
        let places = self.clone();
        Some(Place { places, network })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        let Some(network) = self.network else { return };
        if let Some(own) = taken.by_network.get_mut(&network) {
            *own -= 1;
            if *own == 0 {
                taken.by_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn places(most: usize) -> ConnectionLimit {
        ConnectionLimit::new(most, TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]))
    }

    fn take(places: &ConnectionLimit, address: &str) -> Option<Place> {
        places.take(address.parse().unwrap())
    }

    #[test]
    fn one_network_leaves_a_fifth_to_others_and_gets_back_what_it_gives() {
        let places = places(100);
        let mut hog: Vec<Place> = (0..200)
            .filter_map(|n| take(&places, &format!("192.0.2.{n}")))
            .collect();
        assert_eq!(hog.len(), 80);
        let other = take(&places, "2001:db8::1");
        assert!(other.is_some());
        hog.truncate(70);
        assert!(take(&places, "192.0.2.1").is_some());
        drop((hog, other));
        assert_eq!(places.taken().all, 0);
        assert!(places.taken().by_network.is_empty());
    }

    #[test]
    fn a_trusted_proxy_has_as_many_as_there_are() {
        let places = places(10);
        let all: Vec<Place> = (0..10).filter_map(|_| take(&places, "10.0.0.1")).collect();
        assert_eq!(all.len(), 10);
        assert!(take(&places, "192.0.2.1").is_none());
        drop(all);
        assert!(take(&places, "192.0.2.1").is_some());
    }

    #[test]
    fn each_network_leaves_a_fifth_of_what_it_found_and_several_take_all() {
        let places = places(20_000);
        let mut kept: Vec<Place> = Vec::new();
        for (network, left) in (0..).zip([4_000, 800, 160, 32, 6, 1, 0]) {
            let address = IpAddr::from([198, 51, network, 1]);
            kept.extend(std::iter::from_fn(|| places.take(address)));
            assert_eq!(20_000 - places.taken().all, left);
        }
        assert!(take(&places, "192.0.2.1").is_none());
    }

    proptest! {
        #[test]
        fn whatever_three_networks_want_somebody_else_finds_a_place(wanted in vec((0..3_u8, 1..1_000_usize), 0..20)) {
            let places = places(1_000);
            let mut kept: Vec<Place> = Vec::new();
            for (network, times) in wanted {
                let address = IpAddr::from([198, 51, network, 1]);
                kept.extend(std::iter::from_fn(|| places.take(address)).take(times));
            }
            // A fifth of a fifth of a fifth.
            prop_assert!(1_000 - kept.len() >= 8);
            prop_assert!(take(&places, "192.0.2.1").is_some());
        }
    }
}
