//! A queue that is shared fairly among origins: whoever sends much waits for themselves, and not everybody else.
//!
//! Origins are nested: a network, and within it the narrower one that one customer has. Networks take turns, and within a network the
//! narrower ones do. When the queue is full, who has the most in it gives a place to who has less.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::network::Share;

/// At most so many entries, in the order in which they are to be taken.
#[derive(Debug)]
pub struct FairQueue<T> {
    bound: usize,
    len: usize,
    /// The next to be served is the first.
    networks: VecDeque<Network<T>>,
}

#[derive(Debug)]
struct Network<T> {
    wide: IpAddr,
    len: usize,
    customers: VecDeque<Customer<T>>,
}

#[derive(Debug)]
struct Customer<T> {
    narrow: IpAddr,
    entries: VecDeque<T>,
}

/// What became of an entry that was put in.
#[derive(Debug, PartialEq, Eq)]
pub enum Put<T> {
    /// It waits.
    Queued,
    /// It waits in the place of this one, whose origin had more.
    InPlaceOf(T),
    /// There is no place for it: nobody has more than its own origin.
    Full(T),
}

impl<T> FairQueue<T> {
    /// An empty one with room for `bound` entries.
    pub fn new(bound: usize) -> Self {
        Self {
            bound,
            len: 0,
            networks: VecDeque::new(),
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Does nobody wait?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an entry behind the others of its origin.
    pub fn put(&mut self, share: Share, entry: T) -> Put<T> {
        if self.len < self.bound {
            self.push(share, entry);
            return Put::Queued;
        }
        match self.displace(share) {
            Some(displaced) => {
                self.push(share, entry);
                Put::InPlaceOf(displaced)
            }
            None => Put::Full(entry),
        }
    }

    /// Takes the next entry: of the network whose turn it is that of the customer whose turn it is, and the oldest of theirs.
    pub fn take(&mut self) -> Option<T> {
        let mut network = self.networks.pop_front()?;
        let mut customer = network.customers.pop_front()?;
        let entry = customer.entries.pop_front();
        self.len -= 1;
        network.len -= 1;
        if !customer.entries.is_empty() {
            network.customers.push_back(customer);
        }
        if network.len > 0 {
            self.networks.push_back(network);
        }
        entry
    }

    fn push(&mut self, share: Share, entry: T) {
        let at = self
            .networks
            .iter()
            .position(|network| network.wide == share.wide());
        let at = at.unwrap_or_else(|| {
            self.networks.push_back(Network {
                wide: share.wide(),
                len: 0,
                customers: VecDeque::new(),
            });
            self.networks.len() - 1
        });
        let network = &mut self.networks[at];
        network.len += 1;
        self.len += 1;
        let own = |customer: &&mut Customer<T>| customer.narrow == share.narrow();
        match network.customers.iter_mut().find(own) {
            Some(customer) => customer.entries.push_back(entry),
            None => network.customers.push_back(Customer {
                narrow: share.narrow(),
                entries: VecDeque::from([entry]),
            }),
        }
    }

    /// Takes the youngest entry of who has more than this share would have with one more.
    fn displace(&mut self, share: Share) -> Option<T> {
        let own = self.networks.iter().find(|network| network.wide == share.wide());
        let own_len = own.map_or(0, |network| network.len);
        let own_entries = own
            .and_then(|network| {
                network
                    .customers
                    .iter()
                    .find(|customer| customer.narrow == share.narrow())
            })
            .map_or(0, |customer| customer.entries.len());
        let largest = self.networks.iter().map(|network| network.len).max()?;
        let (wide, least) = if largest > own_len + 1 {
            let network = self.networks.iter().find(|network| network.len == largest)?;
            (network.wide, 0)
        } else {
            // Nobody has more; within its own network somebody may.
            (share.wide(), own_entries + 1)
        };
        let network = self.networks.iter_mut().find(|network| network.wide == wide)?;
        let customer = network
            .customers
            .iter_mut()
            .max_by_key(|customer| customer.entries.len())?;
        if customer.entries.len() <= least {
            return None;
        }
        let displaced = customer.entries.pop_back()?;
        network.customers.retain(|customer| !customer.entries.is_empty());
        network.len -= 1;
        self.len -= 1;
        self.networks.retain(|network| network.len > 0);
        Some(displaced)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn share(address: &str) -> Share {
        Share::of(address.parse().unwrap())
    }

    /// Puts entries in, and takes all out.
    fn order(entries: &[(&str, u32)]) -> Vec<u32> {
        let mut queue = FairQueue::new(entries.len());
        for (address, entry) in entries {
            assert_eq!(queue.put(share(address), *entry), Put::Queued);
        }
        std::iter::from_fn(|| queue.take()).collect()
    }

    #[test]
    fn networks_take_turns_and_so_do_customers_within_them() {
        let entries = [
            ("2001:db8:1:1::1", 1),
            ("2001:db8:1:1::2", 2),
            ("2001:db8:1:2::1", 3),
            ("192.0.2.1", 4),
            ("192.0.2.1", 5),
            ("192.0.2.2", 6),
        ];
        assert_eq!(order(&entries), [1, 4, 3, 6, 2, 5]);
    }

    #[test]
    fn a_network_of_many_customers_does_not_keep_one_of_few_out() {
        let mut queue = FairQueue::new(256);
        for n in 0..256 {
            assert_eq!(queue.put(share(&format!("2001:db8:1:{n:x}::1")), n), Put::Queued);
        }
        // It has them all, and so it makes room; for its own it has none.
        assert!(matches!(
            queue.put(share("2001:db8:1:ffff::1"), 256),
            Put::Full(256)
        ));
        assert!(matches!(queue.put(share("192.0.2.1"), 257), Put::InPlaceOf(_)));
        assert_eq!(queue.len(), 256);
        let served: Vec<u32> = (0..2).filter_map(|_| queue.take()).collect();
        assert!(served.contains(&257), "{served:?}");
    }

    #[test]
    fn within_a_network_who_has_the_most_makes_room() {
        let mut queue = FairQueue::new(4);
        for n in 0..4 {
            queue.put(share("192.0.2.1"), n);
        }
        assert_eq!(queue.put(share("192.0.2.2"), 4), Put::InPlaceOf(3));
        assert_eq!(queue.put(share("192.0.2.1"), 5), Put::Full(5));
        let rest: Vec<u32> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(rest, [0, 4, 1, 2]);
    }

    proptest! {
        /// Origins by number: a few networks with a few customers each.
        #[test]
        fn no_entry_is_lost_or_doubled_and_the_bound_is_kept(
            steps in vec((0..4_u8, 0..4_u8, any::<bool>()), 0..300),
        ) {
            let mut queue = FairQueue::new(16);
            let (mut inside, mut next) = (std::collections::BTreeSet::new(), 0);
            for (network, customer, takes) in steps {
                if takes {
                    let taken = queue.take();
                    prop_assert_eq!(taken.is_none(), inside.is_empty());
                    prop_assert!(taken.is_none_or(|taken| inside.remove(&taken)));
                } else {
                    next += 1;
                    let from = Share::of(IpAddr::from([192, 0, network, customer]));
                    match queue.put(from, next) {
                        Put::Queued => prop_assert!(inside.insert(next)),
                        Put::InPlaceOf(displaced) => {
                            prop_assert!(inside.remove(&displaced));
                            prop_assert!(inside.insert(next));
                        }
                        Put::Full(refused) => prop_assert_eq!(refused, next),
                    }
                }
                prop_assert_eq!(queue.len(), inside.len());
                prop_assert!(queue.len() <= 16);
            }
        }

        #[test]
        fn one_entry_of_a_new_network_waits_for_one_of_each_other_at_most(
            others in vec((1..8_u8, any::<u8>()), 0..100),
        ) {
            let mut queue = FairQueue::new(64);
            for (network, customer) in &others {
                queue.put(Share::of(IpAddr::from([192, 0, *network, *customer])), false);
            }
            let networks = queue.networks.len();
            prop_assert!(!matches!(queue.put(share("198.51.100.1"), true), Put::Full(_)));
            let before = std::iter::from_fn(|| queue.take()).take_while(|is_new| !is_new).count();
            prop_assert!(before <= networks, "{} of {}", before, networks);
        }

        #[test]
        fn who_has_sent_more_waits_for_as_many_of_each_other_network_as_of_its_own(
            others in vec((1..8_u8, any::<u8>()), 0..100),
            own in 1..20_usize,
        ) {
            let mut queue = FairQueue::new(256);
            for (network, customer) in &others {
                queue.put(Share::of(IpAddr::from([192, 0, *network, *customer])), None);
            }
            let networks = queue.networks.len();
            for position in 1..=own {
                queue.put(share("198.51.100.1"), Some(position));
            }
            let mut before = 0;
            while let Some(taken) = queue.take() {
                match taken {
                    None => before += 1,
                    Some(position) => prop_assert!(before <= networks * position, "{} of {}", before, networks),
                }
            }
            // Nobody rests while somebody waits.
            prop_assert_eq!(before, others.len());
        }
    }
}
