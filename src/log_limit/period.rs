//! One kind of line in one period: the lines of each network, and what was counted instead.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::shares::{Shares, wide};
use super::{
    About, AtLeast, LINES_OF_A_KIND, LINES_OF_A_NETWORK, MOST_APART, MOST_DISTINCT, MOST_SUMS,
    NEW_SUBJECTS_OF_A_NETWORK, Sum, Verdict,
};

/// One subject from one network.
type Pair<S> = (Option<IpAddr>, S);

/// Its memory is bounded. Whether there is room to count does not affect whether a line is written.
pub(super) struct Period<S> {
    lines: Shares,
    /// The pairs that had a line; at most as many as there are lines.
    written: HashSet<Pair<S>>,
    room_apart: Shares,
    apart: HashMap<Pair<S>, Counted>,
    others: Counted,
    /// The hash of each other pair, and whether it had a line.
    others_distinct: HashMap<u64, bool>,
    others_hasher: RandomState,
}

impl<S> Default for Period<S> {
    fn default() -> Self {
        Self {
            lines: Shares::of(LINES_OF_A_KIND),
            written: HashSet::new(),
            room_apart: Shares::of(MOST_APART),
            apart: HashMap::new(),
            others: Counted::default(),
            others_distinct: HashMap::new(),
            others_hasher: RandomState::new(),
        }
    }
}

/// Events that were not written.
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

    fn sum<K, S>(self, kind: K, about: About<S>) -> Option<Sum<K, S>> {
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

impl<S: Clone + Eq + Hash> Period<S> {
    pub(super) fn count(&mut self, network: Option<IpAddr>, subject: S, at: DateTime<Utc>) -> Verdict {
        let pair = (network, subject);
        let had_a_line = self.written.contains(&pair);
        let share = if had_a_line {
            LINES_OF_A_NETWORK
        } else {
            LINES_OF_A_NETWORK + NEW_SUBJECTS_OF_A_NETWORK
        };
        if self.lines.taken_by(network) < share && self.lines.take(network) {
            self.written.insert(pair);
            return Verdict::Write;
        }
        if let Some(counted) = self.apart.get_mut(&pair) {
            counted.one_more(at);
        } else if self.room_apart.take(network) {
            self.apart.entry(pair).or_default().one_more(at);
        } else {
            self.others.one_more(at);
            if self.others_distinct.len() < MOST_DISTINCT {
                let hash = self.others_hasher.hash_one(&pair);
                self.others_distinct.insert(hash, had_a_line);
            }
        }
        Verdict::Counted
    }

    /// One sum for each pair, as far as the bound allows, and one for the rest.
    pub(super) fn sums<K: Clone>(self, kind: &K) -> Vec<Sum<K, S>> {
        let written = self.written;
        let mut apart: Vec<(Pair<S>, Counted)> = self.apart.into_iter().collect();
        apart.sort_by_key(|(_, counted)| (Reverse(counted.count), counted.between));
        // Half of the sums are the largest. The other half is for pairs without a line, and their networks
        // take turns.
        let smaller = apart.split_off(apart.len().min(MOST_SUMS / 2));
        let mut turns: HashMap<Option<IpAddr>, usize> = HashMap::new();
        let mut smaller: Vec<(bool, usize, Pair<S>, Counted)> = smaller
            .into_iter()
            .map(|(pair, counted)| {
                let had_a_line = written.contains(&pair);
                let turn = turns.entry(wide(pair.0)).or_default();
                *turn += usize::from(!had_a_line);
                (had_a_line, *turn, pair, counted)
            })
            .collect();
        smaller.sort_by_key(|(had_a_line, turn, ..)| (*had_a_line, *turn));
        let rest = smaller.split_off(smaller.len().min(MOST_SUMS / 2));
        let smaller = smaller.into_iter().map(|(_, _, pair, counted)| (pair, counted));
        let mut sums: Vec<Sum<K, S>> = apart
            .into_iter()
            .chain(smaller)
            .filter_map(|((network, subject), counted)| {
                counted.sum(kind.clone(), About::One { network, subject })
            })
            .collect();

        let mut counted = self.others;
        for (.., of_one) in &rest {
            counted.add(*of_one);
        }
        let others = self.others_distinct.len();
        let at_least = |number| AtLeast {
            number,
            is_exact: others < MOST_DISTINCT,
        };
        let without_a_line = rest.iter().filter(|(had_a_line, ..)| !had_a_line).count();
        let others_without = self.others_distinct.values().filter(|had_a_line| !**had_a_line);
        let about = About::Many {
            distinct: at_least(rest.len() + others),
            unwritten: at_least(without_a_line + others_without.count()),
        };
        sums.extend(counted.sum(kind.clone(), about));
        sums
    }
}
