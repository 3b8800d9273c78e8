//! The targets, for figures of a full run.

use serde::Serialize;

use crate::outcome::{Figure, Spread};

/// The target of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// The peers' set-ups are those of `bench/peers/README.md`.
const TARGETS: [(&str, Bound); 20] = [
    ("validation.bare_handler", Bound::AtLeast(0.8)),
    ("validation.strict", Bound::AtLeast(2.2)),
    ("validation.processor.bare", Bound::AtMost(1.5)),
    ("validation.p99.strict", Bound::AtMost(0.5)),
    ("validation.tower-sessions.tuned", Bound::AtLeast(6.0)),
    ("validation.tower-sessions.cached", Bound::AtLeast(1.5)),
    ("statements", Bound::AtMost(5.0)),
    ("feed", Bound::AtLeast(0.9)),
    // The lease and 20 ms.
    ("sign_out.p99", Bound::AtMost(220.0)),
    ("memory.session", Bound::AtMost(700.0)),
    ("validation.tower-sessions", Bound::AtLeast(5.0)),
    ("validation.better-auth", Bound::AtLeast(60.0)),
    ("validation.pgbench", Bound::AtLeast(1.0)),
    ("validation.p99", Bound::AtMost(10.0)),
    ("scale.1000000", Bound::AtLeast(0.95)),
    ("login", Bound::AtLeast(0.9)),
    ("storm.p99", Bound::AtMost(2.0)),
    ("sweep.p99", Bound::AtMost(2.0)),
    ("memory.idle.resident", Bound::AtMost(16.0)),
    ("memory.idle_again.resident", Bound::AtMost(40.0)),
];

/// The bound of a figure, if there is one.
pub fn bound_of(figure: &Figure) -> Option<Bound> {
    let (_, bound) = TARGETS.iter().find(|(key, _)| *key == figure.key)?;
    Some(*bound)
}

impl Bound {
    /// Whether the median meets the target.
    pub fn is_met(self, spread: &Spread) -> bool {
        match self {
            Self::AtLeast(least) => spread.median >= least,
            Self::AtMost(most) => spread.median <= most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_decides() {
        let spread = Spread {
            median: 2.0,
            least: 1.0,
            most: 9.0,
        };
        assert!(Bound::AtLeast(2.0).is_met(&spread) && Bound::AtMost(2.0).is_met(&spread));
        assert!(!Bound::AtLeast(2.1).is_met(&spread) && !Bound::AtMost(1.9).is_met(&spread));
    }
}
