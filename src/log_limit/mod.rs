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
mod tests {
    use chrono::TimeDelta;

    use super::*;

    type Limit = LogLimit<&'static str, String>;

    fn limit() -> Limit {
        LogLimit::default()
    }

    fn second(n: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(n)
    }

    fn network(n: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(n.into()))
    }

    fn is_written(limit: &Limit, from: u32, subject: &str, at: i64) -> bool {
        limit.count("kind", network(from), subject.to_owned(), second(at)) == Verdict::Write
    }

    #[test]
    fn the_first_are_written_and_the_rest_is_one_sum_a_period() {
        let limit = limit();
        let written = (0..1_000).filter(|n| is_written(&limit, 7, "a", *n)).count();
        assert_eq!(written, 5);
        let about = About::One {
            network: network(7),
            subject: "a".to_owned(),
        };
        let sum = Sum {
            kind: "kind",
            count: 995,
            first: second(5),
            last: second(999),
            about,
        };
        assert_eq!(limit.sums(), [sum]);
        // A new period: the first lines are written again, and no sum is repeated.
        assert!(is_written(&limit, 7, "a", 1_000));
        assert_eq!(limit.sums(), []);
    }

    #[test]
    fn a_new_subject_has_a_line_although_its_network_has_had_its_share() {
        let limit = limit();
        for n in 0..100 {
            is_written(&limit, 7, "a", n);
        }
        assert!(is_written(&limit, 7, "b", 100));
        assert!(!is_written(&limit, 7, "b", 101));
        // Another network has its own share, and so has another kind.
        assert!(is_written(&limit, 8, "a", 102));
        assert_eq!(
            limit.count("other", network(7), "a".to_owned(), second(103)),
            Verdict::Write
        );
        let subjects = (0..100).filter(|n| is_written(&limit, 7, &format!("new {n}"), 104));
        assert_eq!(subjects.count(), 19);
        let told: Vec<(u64, About<String>)> = limit
            .sums()
            .into_iter()
            .map(|sum| (sum.count, sum.about))
            .collect();
        let one = |subject: &str| About::One {
            network: network(7),
            subject: subject.to_owned(),
        };
        assert!(
            told.contains(&(95, one("a"))) && told.contains(&(1, one("b"))),
            "{told:#?}"
        );
        assert_eq!(told.iter().map(|(count, _)| count).sum::<u64>(), 95 + 1 + 81);
    }

    #[test]
    fn origins_without_number_defeat_neither_the_bound_nor_the_count() {
        const EACH: u32 = 3;
        let limit = limit();
        let mut written = 0_u64;
        for round in 0..EACH {
            for n in 0..20_000 {
                written += u64::from(is_written(&limit, n, "a", i64::from(round)));
            }
        }
        assert_eq!(written, 300);
        let sums = limit.sums();
        assert_eq!(sums.len(), 51);
        let counted: u64 = sums.iter().map(|sum| sum.count).sum();
        assert_eq!(written + counted, u64::from(EACH) * 20_000);
        let many = sums.iter().find_map(|sum| match &sum.about {
            About::Many { distinct, unwritten } => Some((distinct.to_string(), unwritten.to_string())),
            About::One { .. } => None,
        });
        // 950 separate pairs, and more others than the hashes distinguish, all without a line.
        assert_eq!(many, Some(("10950+".to_owned(), "10950+".to_owned())));
    }

    #[test]
    fn those_without_a_line_are_counted_once_each() {
        let limit = limit();
        for _ in 0..2 {
            for n in 0..1_500 {
                is_written(&limit, 7, &n.to_string(), 0);
            }
        }
        let sums = limit.sums();
        let many = sums.iter().find_map(|sum| match &sum.about {
            About::Many { distinct, unwritten } => Some((distinct.to_string(), unwritten.to_string())),
            About::One { .. } => None,
        });
        // 50 have their own sums, and 25 others had a line: five, and twenty as new subjects.
        assert_eq!(many, Some(("1450".to_owned(), "1425".to_owned())));
        let counted: u64 = sums.iter().map(|sum| sum.count).sum();
        assert_eq!(counted, 3_000 - 25);
    }

    /// A flood from one network: more subjects than there is room for, each several times.
    fn flood(limit: &Limit, address: impl Fn(u32) -> IpAddr) {
        for _ in 0..3 {
            for n in 0..2_000 {
                limit.count("kind", Some(address(n)), format!("made up {n}"), second(0));
            }
        }
    }

    #[test]
    fn a_network_with_subjects_without_number_switches_off_no_line_and_no_sum_of_another() {
        let many_addresses = |n: u32| IpAddr::from([0x2001, 0xdb8, 0, n as u16, 0, 0, 0, 0]);
        let one_address = |_: u32| IpAddr::from([192, 0, 2, 7]);
        for flooding in [&one_address as &dyn Fn(u32) -> IpAddr, &many_addresses] {
            let limit = limit();
            flood(&limit, flooding);
            let other = network(8);
            let count = |subject: &str| limit.count("kind", other, subject.to_owned(), second(1));
            let written = (0..50).filter(|_| count("a real service") == Verdict::Write);
            assert_eq!(written.count(), 5);
            let named = (0..100).filter(|n| count(&format!("service {n}")) == Verdict::Write);
            assert_eq!(named.count(), 20);
            // This one comes once, less often than any of the flood.
            assert_eq!(count("the last service"), Verdict::Counted);

            let sums = limit.sums();
            let of = |subject: &str| {
                let about = About::One {
                    network: other,
                    subject: subject.to_owned(),
                };
                sums.iter().find(|sum| sum.about == about).map(|sum| sum.count)
            };
            assert_eq!(of("a real service"), Some(45));
            let quiet = sums
                .iter()
                .filter(|sum| matches!(&sum.about, About::One { network, .. } if *network == other));
            assert!(quiet.count() > 10, "{sums:#?}");
            assert!(sums.len() <= 51);
        }
    }

    #[test]
    fn several_networks_with_subjects_without_number_leave_lines_for_one_more() {
        let limit = limit();
        for n in 0..10 {
            flood(&limit, |_| IpAddr::from([198, 51, n, 1]));
        }
        assert!((0..5).all(|n| is_written(&limit, 7, "a", n)));
    }
}
