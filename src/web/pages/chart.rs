//! Endings of the last 30 days as a small chart: one bar a day, one colour a reason.

use chrono::{Days, NaiveDate};

use crate::auth::statistics::{DAYS, Statistics, Tally};
use crate::sessions::EndReason;

/// The chart's height, in its own units.
const HEIGHT: i64 = 100;

/// A stacked bar chart; the stylesheet gives each reason its colour.
pub(super) struct Chart {
    /// The days, the oldest first.
    pub(super) days: Vec<Day>,
    /// The reasons that occurred.
    pub(super) legend: Vec<LegendRow>,
    /// The number that the highest bar stands for.
    pub(super) most: i64,
    /// The chart in words, for people who cannot see it.
    pub(super) summary: String,
}

/// One day's bar.
pub(super) struct Day {
    date: NaiveDate,
    pub(super) x: usize,
    /// The parts of the bar. Empty if no session ended.
    pub(super) bars: Vec<Bar>,
    /// The day and its numbers, in words.
    pub(super) words: String,
}

/// One reason's part of one day's bar.
pub(super) struct Bar {
    pub(super) y: i64,
    pub(super) height: i64,
    pub(super) class: &'static str,
}

/// One reason, with its colour and its numbers.
pub(super) struct LegendRow {
    pub(super) class: &'static str,
    pub(super) words: &'static str,
    pub(super) tally: Tally,
}

impl Chart {
    pub(super) fn of(statistics: &Statistics) -> Self {
        let totals = statistics.by_day.iter().map(|day| day.iter().sum::<i64>());
        let (all, most): (i64, i64) = (totals.clone().sum(), totals.max().unwrap_or(0));
        let days = statistics.by_day.iter().enumerate();
        Self {
            days: days
                .map(|(place, counts)| {
                    let ago = Days::new((DAYS - 1).saturating_sub(place) as u64);
                    let date = statistics.today.checked_sub_days(ago).unwrap_or_default();
                    Day::new(date, place * 10, counts, most)
                })
                .collect(),
            legend: legend(&statistics.endings),
            most,
            summary: format!(
                "Sessions that ended on each of the last {DAYS} days, by reason: {all} in all, at most {most} on one day."
            ),
        }
    }

    /// Whether no session ended.
    pub(super) fn is_empty(&self) -> bool {
        self.legend.is_empty()
    }

    pub(super) fn first_day(&self) -> String {
        self.day(0)
    }

    pub(super) fn middle_day(&self) -> String {
        self.day(DAYS / 2)
    }

    fn day(&self, place: usize) -> String {
        self.days.get(place).map(|day| on(day.date)).unwrap_or_default()
    }
}

impl Day {
    fn new(date: NaiveDate, x: usize, counts: &[i64], most: i64) -> Self {
        let (mut bars, mut parts, mut below) = (Vec::new(), Vec::new(), 0);
        for (reason, count) in EndReason::ALL.into_iter().zip(counts) {
            if *count == 0 {
                continue;
            }
            // From the running total, so that rounding leaves neither gaps nor overlaps.
            let (from, to) = (below * HEIGHT / most, (below + count) * HEIGHT / most);
            below += count;
            parts.push(format!("{} {count}", reason.in_words().to_lowercase()));
            bars.push(Bar {
                y: HEIGHT - to,
                height: to - from,
                class: reason.as_str(),
            });
        }
        Self {
            date,
            x,
            bars,
            words: format!("{}: {below} ended ({})", on(date), parts.join(", ")),
        }
    }
}

fn legend(endings: &[(EndReason, Tally)]) -> Vec<LegendRow> {
    let occurred = endings.iter().filter(|(_, tally)| tally.month > 0);
    let row = |&(reason, tally): &(EndReason, Tally)| LegendRow {
        class: reason.as_str(),
        words: reason.in_words(),
        tally,
    };
    occurred.map(row).collect()
}

/// A day of the last month, in words.
fn on(date: NaiveDate) -> String {
    date.format("%-d %B").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(by_day: Vec<[i64; EndReason::ALL.len()]>) -> Statistics {
        let month = |place: usize| by_day.iter().map(|day| day[place]).sum();
        let endings = EndReason::ALL.into_iter().enumerate();
        Statistics {
            today: NaiveDate::from_ymd_opt(2026, 3, 1).unwrap(),
            signed_in_now: 0,
            sign_ins: Tally::default(),
            endings: endings
                .map(|(place, reason)| {
                    (
                        reason,
                        Tally {
                            day: 0,
                            month: month(place),
                        },
                    )
                })
                .collect(),
            by_day,
        }
    }

    #[test]
    fn the_highest_day_fills_the_picture_and_parts_touch() {
        let mut by_day = vec![[0; EndReason::ALL.len()]; DAYS];
        by_day[29][..3].fill(1);
        by_day[28][0] = 1;
        let chart = Chart::of(&statistics(by_day));
        let last = &chart.days[29];
        assert_eq!(last.bars.iter().map(|bar| bar.height).sum::<i64>(), HEIGHT);
        assert_eq!(last.bars.last().unwrap().y, 0);
        assert_eq!(chart.days[28].bars[0].height, 33);
        assert!(chart.summary.contains("4 in all, at most 3"));
        assert_eq!(
            last.words,
            "1 March: 3 ended (signed out 1, page closed 1, signed in elsewhere 1)"
        );
        assert_eq!(chart.days[28].words, "28 February: 1 ended (signed out 1)");
        assert_eq!(
            (chart.first_day(), chart.middle_day()),
            ("31 January".to_owned(), "15 February".to_owned())
        );
    }

    #[test]
    fn what_did_not_occur_has_no_row() {
        let mut by_day = vec![[0; EndReason::ALL.len()]; DAYS];
        assert!(Chart::of(&statistics(by_day.clone())).is_empty());
        by_day[3][2] = 5;
        let chart = Chart::of(&statistics(by_day));
        let legend: Vec<_> = chart
            .legend
            .iter()
            .map(|row| (row.words, row.tally.month))
            .collect();
        assert_eq!(legend, [("Signed in elsewhere", 5)]);
    }
}
