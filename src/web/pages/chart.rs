//! Endings of the last 30 days as a small chart: one bar a day, one colour a reason.

use crate::auth::statistics::{DAYS, Statistics};
use crate::sessions::EndReason;

/// The chart's height, in its own units.
const HEIGHT: i64 = 100;

/// A stacked bar chart; the stylesheet gives each reason its colour.
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) legend: Vec<(&'static str, &'static str)>,
    /// The chart in words, for people who cannot see it.
    pub(super) summary: String,
}

/// One reason's part of one day's bar.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: i64,
    pub(super) height: i64,
    pub(super) class: &'static str,
}

impl Chart {
    pub(super) fn of(statistics: &Statistics) -> Self {
        let totals = statistics.by_day.iter().map(|day| day.iter().sum::<i64>());
        let most = totals.clone().max().unwrap_or(0).max(1);
        let mut bars = Vec::new();
        for (day, counts) in statistics.by_day.iter().enumerate() {
            let mut below = 0;
            for (reason, count) in EndReason::ALL.into_iter().zip(counts) {
                // From the running total, so that rounding leaves neither gaps nor overlaps.
                let (from, to) = (below * HEIGHT / most, (below + count) * HEIGHT / most);
                below += count;
                if to > from {
                    bars.push(Bar {
                        x: day * 10,
                        y: HEIGHT - to,
                        height: to - from,
                        class: reason.as_str(),
                    });
                }
            }
        }
        let all: i64 = totals.sum();
        let summary = format!(
            "Sessions that ended on each of the last {DAYS} days, by reason: {all} in all, at most {most} on one day."
        );
        Self {
            bars,
            legend: EndReason::ALL
                .map(|reason| (reason.as_str(), reason.in_words()))
                .into(),
            summary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::statistics::Tally;

    #[test]
    fn the_highest_day_fills_the_picture_and_parts_touch() {
        let mut by_day = vec![[0; EndReason::ALL.len()]; DAYS];
        by_day[29][..3].fill(1);
        by_day[28][0] = 1;
        let statistics = Statistics {
            signed_in_now: 0,
            sign_ins: Tally::default(),
            endings: Vec::new(),
            by_day,
        };
        let chart = Chart::of(&statistics);
        let last: Vec<_> = chart.bars.iter().filter(|bar| bar.x == 290).collect();
        assert_eq!(last.iter().map(|bar| bar.height).sum::<i64>(), HEIGHT);
        assert_eq!(last.last().unwrap().y, 0);
        assert_eq!(chart.bars.iter().find(|bar| bar.x == 280).unwrap().height, 33);
        assert!(chart.summary.contains("4 in all, at most 3"));
    }
}
