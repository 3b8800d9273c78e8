//! One kind of line in one period: who had how many lines, and what was counted instead.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::{
    About, AtLeast, LINES_OF_A_KIND, LINES_OF_A_NETWORK, MOST_APART, MOST_DISTINCT, MOST_SUMS,
    NEW_SUBJECTS_OF_A_NETWORK, Sum, Verdict,
};

/// Longest subject kept, in characters.
const SUBJECT_LENGTH: usize = 200;

type Pair = (Option<IpAddr>, String);

/// Bounded in memory, whatever happens.
#[derive(Default)]
pub(super) struct Period {
    lines: u32,
    lines_of_networks: HashMap<Option<IpAddr>, u32>,
    apart: HashMap<Pair, Tally>,
    others: Counted,
    others_distinct: HashSet<u64>,
    others_hasher: RandomState,
}

/// One subject from one network.
#[derive(Default)]
struct Tally {
    lines: u32,
    counted: Counted,
}

/// What was not written.
#[derive(Clone, Copy, Default)]
struct Counted {
    count: u64,
    between: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Counted {
    fn one_more(&mut self, at: DateTime<Utc>) {
        self.add(Self {
            count: 1,
            between: Some((at, at)),
        });
    }

    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.between = match (self.between, other.between) {
            (Some((first, last)), Some((earlier, later))) => Some((first.min(earlier), last.max(later))),
            (between, None) | (None, between) => between,
        };
    }

    fn sum<K>(self, kind: K, about: About) -> Option<Sum<K>> {
        let (first, last) = self.between?;
        Some(Sum {
            kind,
            count: self.count,
            first,
            last,
            about,
        })
    }
}

impl Period {
    pub(super) fn count(&mut self, network: Option<IpAddr>, subject: &str, at: DateTime<Utc>) -> Verdict {
        let pair: Pair = (network, subject.chars().take(SUBJECT_LENGTH).collect());
        let has_room = self.apart.len() < MOST_APART;
        if !has_room && !self.apart.contains_key(&pair) {
            self.others.one_more(at);
            if self.others_distinct.len() < MOST_DISTINCT {
                self.others_distinct.insert(self.others_hasher.hash_one(&pair));
            }
            return Verdict::Counted;
        }
        // Not more of them than there are pairs.
        let of_network = self.lines_of_networks.entry(network).or_default();
        let tally = self.apart.entry(pair).or_default();
        let share = match tally.lines {
            0 => LINES_OF_A_NETWORK + NEW_SUBJECTS_OF_A_NETWORK,
            _ => LINES_OF_A_NETWORK,
        };
        if *of_network >= share || self.lines >= LINES_OF_A_KIND {
            tally.counted.one_more(at);
            return Verdict::Counted;
        }
        tally.lines += 1;
        *of_network += 1;
        self.lines += 1;
        Verdict::Write
    }

    /// One for each pair, as far as the bound allows; and one for the rest.
    pub(super) fn sums<K: Clone>(self, kind: &K) -> Vec<Sum<K>> {
        let mut apart: Vec<(Pair, Tally)> = self.apart.into_iter().collect();
        apart.retain(|(_, tally)| tally.counted.count > 0);
        apart.sort_by_key(|(_, Tally { counted, .. })| (Reverse(counted.count), counted.between));
        // Half of the sums are the largest; the other half is for those whom nobody would hear of otherwise.
        if let Some(smaller) = apart.get_mut(MOST_SUMS / 2..) {
            smaller.sort_by_key(|(_, tally)| tally.lines > 0);
        }
        let rest = apart.split_off(apart.len().min(MOST_SUMS));
        let mut sums: Vec<Sum<K>> = apart
            .into_iter()
            .filter_map(|((network, subject), tally)| {
                tally.counted.sum(kind.clone(), About::One { network, subject })
            })
            .collect();

        let mut counted = self.others;
        for (_, tally) in &rest {
            counted.add(tally.counted);
        }
        let others = self.others_distinct.len();
        let at_least = |number| AtLeast {
            number,
            is_exact: others < MOST_DISTINCT,
        };
        let without_a_line = rest.iter().filter(|(_, tally)| tally.lines == 0).count();
        let about = About::Many {
            distinct: at_least(rest.len() + others),
            unwritten: at_least(without_a_line + others),
        };
        sums.extend(counted.sum(kind.clone(), about));
        sums
    }
}
