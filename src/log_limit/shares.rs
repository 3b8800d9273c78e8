//! Room for so many, of which no network takes all.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::network::Share;

/// One network, or nobody's.
type Network = Option<IpAddr>;

/// What is taken of it. A network may take one more as long as what it has, twice, is less than what is free, and a wider one ([`Share`])
/// as long as what it has is less. So an address takes a third of what it finds, a /24 or /48 half of it. Whatever one takes, somebody else
/// finds room; a dozen together can take all of it.
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

    /// How much a network has taken.
    pub(super) fn taken_by(&self, network: Network) -> usize {
        self.narrow.get(&network).copied().unwrap_or_default()
    }

    /// Takes one more, if the network may have it. One that may not once will not later.
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
    network.map(|network| Share::of(network).site())
}
