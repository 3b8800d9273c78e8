//! A limited room of which no network can take all.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::network::Networks;

/// A network, if there is one.
type Network = Option<IpAddr>;

/// Free and taken places. A network may take one more while twice its share is less than what is free, and a
/// site ([`Networks`]) while its share is less. So an address gets a third of what it finds, and a /24 or /48
/// half of it. Whatever one takes, others find room; a dozen together can take all of it.
pub(super) struct Shares {
    free: usize,
    narrow: HashMap<Network, usize>,
    wide: HashMap<Network, usize>,
}

impl Shares {
    pub(super) fn of(most: usize) -> Self {
        Self {
            free: most,
            narrow: HashMap::new(),
            wide: HashMap::new(),
        }
    }

    /// The places that a network has taken.
    pub(super) fn taken_by(&self, network: Network) -> usize {
        self.narrow.get(&network).copied().unwrap_or_default()
    }

    /// Takes one more, if the network may have it. A network once refused stays refused.
    pub(super) fn take(&mut self, network: Network) -> bool {
        let taken_by_wide = self.wide.get(&wide(network)).copied().unwrap_or_default();
        let has_room = 2 * self.taken_by(network) < self.free && taken_by_wide < self.free;
        if has_room {
            self.free -= 1;
            *self.narrow.entry(network).or_default() += 1;
            *self.wide.entry(wide(network)).or_default() += 1;
        }
        has_room
    }
}

pub(super) fn wide(network: Network) -> Network {
    network.map(|network| Networks::of(network).site())
}
