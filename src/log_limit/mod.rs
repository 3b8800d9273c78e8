//! A limit for log lines that strangers can cause: the first ones are written, later ones are counted and
//! reported in sums. Lines and counts always add up to what happened.
//!
//! This module only counts: its caller writes the lines, and the sums once a [`PERIOD`].

mod period;
mod shares;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use period::Period;

/// The interval between sums.
pub const PERIOD: Duration = Duration::from_secs(60);

/// The most lines of one kind in one period: from one network, for its new subjects, and from all networks.
const LINES_OF_A_NETWORK: usize = 5;
const NEW_SUBJECTS_OF_A_NETWORK: usize = 20;
const LINES_OF_A_KIND: usize = 300;

/// The most pairs of network and subject that one kind counts separately, in some hundred kilobytes.
const MOST_APART: usize = 1_000;
/// Other pairs are distinguished by a hash, up to this number.
const MOST_DISTINCT: usize = 10_000;
/// The most sums of one kind that name network and subject: the largest, and those without a line. One more
/// sum has the rest.
const MOST_SUMS: usize = 50;

/// Counts per kind. The number of kinds `K` and the length of a subject `S` must be bounded.
pub struct LogLimit<K, S> {
    periods: Mutex<HashMap<K, Period<S>>>,
}

/// Whether to write a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Write it.
    Write,
    /// It is counted for a sum.
    Counted,
}

/// Events that were counted and not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum<K, S> {
    /// The kind.
    pub kind: K,
    /// The number of events.
    pub count: u64,
    /// The time of the first.
    pub first: DateTime<Utc>,
    /// The time of the last.
    pub last: DateTime<Utc>,
    /// The network and subject.
    pub about: About<S>,
}

/// What a sum is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About<S> {
    /// One subject from one network.
    One {
        /// As the caller gave it.
        network: Option<IpAddr>,
        /// As the caller gave it.
        subject: S,
    },
    /// More pairs than can be named.
    Many {
        /// The number of different pairs.
        distinct: AtLeast,
        /// The number of these without a line.
        unwritten: AtLeast,
    },
}

impl<K, S> Sum<K, S> {
    /// The times of the first and the last, in the format of the log.
    pub fn between(&self) -> [String; 2] {
        [self.first, self.last].map(|moment| moment.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// A number with a bound: `12`, or `12+` when there may be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtLeast {
    number: usize,
    is_exact: bool,
}

impl fmt::Display for AtLeast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.is_exact { "" } else { "+" };
        write!(f, "{}{more}", self.number)
    }
}

impl<K, S> Default for LogLimit<K, S> {
    fn default() -> Self {
        Self {
            periods: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash, S: Clone + Eq + Hash> LogLimit<K, S> {
    /// Counts an event. `network` is as wide as one customer's. `subject` is what a search of the log needs:
    /// each has a line or a sum of its own, as far as the bounds allow.
    pub fn count(&self, kind: K, network: Option<IpAddr>, subject: S, at: DateTime<Utc>) -> Verdict {
        self.periods()
            .entry(kind)
            .or_default()
            .count(network, subject, at)
    }

    /// Returns the counts since the last call, and begins a new period.
    pub fn sums(&self) -> Vec<Sum<K, S>>
    where
        K: Clone,
    {
        // Taken out first: other threads never wait for the sorting.
        let periods = mem::take(&mut *self.periods());
        let mut sums: Vec<Sum<K, S>> = periods
            .into_iter()
            .flat_map(|(kind, period)| period.sums(&kind))
            .collect();
        sums.sort_by_key(|sum| sum.first);
        sums
    }

    // No code that could panic runs under this lock: a panic logs a line, and would come back here.
    fn periods(&self) -> MutexGuard<'_, HashMap<K, Period<S>>> {
        self.periods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
