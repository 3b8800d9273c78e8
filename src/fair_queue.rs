//! A queue shared fairly among origins: an origin that sends much delays only itself.
//!
//! Origins are nested ([`Networks::tiers`]): a provider's network, a customer's site in it, and a subnet in
//! that. Networks of one tier take turns. When the queue is full, the network with the most entries gives a
//! place to one with fewer.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::network::Networks;

/// A bounded queue of entries, in the order in which they are taken.
#[derive(Debug)]
pub struct FairQueue<T> {
    bound: usize,
    all: Waiting<T>,
}

/// The waiting entries of one network, or of all. Empty networks are removed.
#[derive(Debug)]
enum Waiting<T> {
    /// The entries of a subnet: the oldest first.
    Entries(VecDeque<T>),
    /// The networks within this one: the next in turn first.
    Networks {
        len: usize,
        inner: VecDeque<(IpAddr, Waiting<T>)>,
    },
}

/// The outcome of [`FairQueue::put`].
#[derive(Debug, PartialEq, Eq)]
pub enum Put<T> {
    /// The entry waits.
    Queued,
    /// The entry waits in the place of this one, whose network had more.
    InPlaceOf(T),
    /// There is no place for the entry: no other network has more than its own.
    Full(T),
}

impl<T> FairQueue<T> {
    /// An empty queue with room for `bound` entries.
    pub fn new(bound: usize) -> Self {
        Self {
            bound,
            all: Waiting::networks(),
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Is the queue empty?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts an entry behind the others of its origin.
    pub fn put(&mut self, networks: Networks, entry: T) -> Put<T> {
        let tiers = networks.tiers();
        if self.len() < self.bound {
            self.all.push(&tiers, entry);
            return Put::Queued;
        }
        match self.all.displace(&tiers) {
            Some(displaced) => {
                self.all.push(&tiers, entry);
                Put::InPlaceOf(displaced)
            }
            None => Put::Full(entry),
        }
    }

    /// Takes the oldest entry of the network whose turn it is, tier by tier.
    pub fn take(&mut self) -> Option<T> {
        self.all.take()
    }
}

impl<T> Waiting<T> {
    fn networks() -> Self {
        Self::Networks {
            len: 0,
            inner: VecDeque::new(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Entries(entries) => entries.len(),
            Self::Networks { len, .. } => *len,
        }
    }

    fn push(&mut self, tiers: &[IpAddr], entry: T) {
        match (self, tiers) {
            (Self::Entries(entries), _) => entries.push_back(entry),
            (Self::Networks { len, inner }, [own, narrower @ ..]) => {
                *len += 1;
                if let Some((_, network)) = inner.iter_mut().find(|(network, _)| network == own) {
                    return network.push(narrower, entry);
                }
                let mut network = match narrower {
                    [] => Self::Entries(VecDeque::new()),
                    _ => Self::networks(),
                };
                network.push(narrower, entry);
                inner.push_back((*own, network));
            }
            (Self::Networks { .. }, []) => {}
        }
    }

    fn take(&mut self) -> Option<T> {
        match self {
            Self::Entries(entries) => entries.pop_front(),
            Self::Networks { len, inner } => {
                let (address, mut network) = inner.pop_front()?;
                let entry = network.take()?;
                *len -= 1;
                if network.len() > 0 {
                    inner.push_back((address, network));
                }
                Some(entry)
            }
        }
    }

    /// Removes the youngest entry of a network that has more than this origin's network of the same tier
    /// would have with one more.
    fn displace(&mut self, tiers: &[IpAddr]) -> Option<T> {
        let (Self::Networks { len, inner }, [own, narrower @ ..]) = (self, tiers) else {
            return None;
        };
        let own_at = inner.iter().position(|(network, _)| network == own);
        let own_len = own_at.map_or(0, |at| inner[at].1.len());
        let largest_at = (0..inner.len()).max_by_key(|at| inner[*at].1.len())?;
        let (at, displaced) = if inner[largest_at].1.len() > own_len + 1 {
            (largest_at, inner[largest_at].1.give_up()?)
        } else {
            // No other network has more, but one within its own may.
            let at = own_at?;
            (at, inner[at].1.displace(narrower)?)
        };
        *len -= 1;
        if inner[at].1.len() == 0 {
            inner.remove(at);
        }
        Some(displaced)
    }

    /// Removes the youngest entry of the largest network within it.
    fn give_up(&mut self) -> Option<T> {
        match self {
            Self::Entries(entries) => entries.pop_back(),
            Self::Networks { len, inner } => {
                let at = (0..inner.len()).max_by_key(|at| inner[*at].1.len())?;
                let given_up = inner[at].1.give_up()?;
                *len -= 1;
                if inner[at].1.len() == 0 {
                    inner.remove(at);
                }
                Some(given_up)
            }
        }
    }
}

#[cfg(test)]
mod tests;
