//! `table.md`: the targets, other figures, and the median and spread of every measurement.

use anyhow::Result;
use askama::Template;

use super::{Report, Verdict};
use crate::options::in_thousands;
use crate::outcome::{Outcome, Sample, Spread};
use crate::targets::Bound;

#[derive(Template)]
#[template(path = "table.md", escape = "none")]
struct Page<'a> {
    report: &'a Report,
    targets: Vec<Line>,
    others: Vec<Line>,
    sections: Vec<Section<'a>>,
}

/// A figure in words.
struct Line {
    label: String,
    target: String,
    median: String,
    spread: String,
    is_met: &'static str,
}

struct Section<'a> {
    name: &'static str,
    error: Option<&'a str>,
    rows: Vec<Row>,
    notes: &'a [String],
}

/// All measurements of one subject in words.
struct Row {
    subject: String,
    rate: String,
    p50: String,
    p99: String,
    server: String,
    database: String,
}

pub(super) fn render(report: &Report) -> Result<String> {
    let (targets, others): (Vec<_>, Vec<_>) = report
        .verdicts
        .iter()
        .partition(|verdict| verdict.target.is_some());
    let sections = report.experiments.iter().map(|done| Section {
        name: done.name.name(),
        error: done.error.as_deref(),
        rows: done.outcome.as_ref().map(rows).unwrap_or_default(),
        notes: done.outcome.as_ref().map_or(&[], |outcome| &outcome.notes),
    });
    let page = Page {
        report,
        targets: targets.into_iter().map(Line::of).collect(),
        others: others.into_iter().map(Line::of).collect(),
        sections: sections.collect(),
    };
    Ok(page.render()?)
}

impl Line {
    fn of(verdict: &Verdict) -> Self {
        let unit = |number: f64| match verdict.unit {
            "" => format!("{} x", significant(number)),
            unit => format!("{} {unit}", significant(number)),
        };
        Self {
            label: verdict.label.clone(),
            target: match verdict.target {
                None => String::new(),
                Some(Bound::AtLeast(least)) => format!("≥ {}", unit(least)),
                Some(Bound::AtMost(most)) => format!("≤ {}", unit(most)),
            },
            median: unit(verdict.spread.median),
            spread: format!(
                "{}–{}",
                significant(verdict.spread.least),
                significant(verdict.spread.most)
            ),
            is_met: match verdict.is_met {
                None => "",
                Some(true) => "yes",
                Some(false) => "**no**",
            },
        }
    }
}

fn rows(outcome: &Outcome) -> Vec<Row> {
    let row = |subject: &str| {
        let words = |number: &dyn Fn(&Sample) -> Option<f64>| {
            let values: Vec<f64> = outcome.of(subject).filter_map(number).collect();
            in_words(&values)
        };
        Row {
            subject: subject.to_owned(),
            rate: words(&|sample| Some(sample.requests_per_second)),
            p50: words(&|sample| Some(sample.p50_microseconds as f64 / 1e3)),
            p99: words(&|sample| Some(sample.p99_microseconds as f64 / 1e3)),
            server: words(&|sample| sample.server_microseconds),
            database: words(&|sample| sample.database_microseconds),
        }
    };
    outcome.subjects().into_iter().map(row).collect()
}

/// Median and extremes.
fn in_words(values: &[f64]) -> String {
    match Spread::of(values) {
        None => "–".to_owned(),
        Some(spread) => format!(
            "{} ({}–{})",
            significant(spread.median),
            significant(spread.least),
            significant(spread.most)
        ),
    }
}

/// Three significant digits, with separated thousands.
pub(super) fn significant(number: f64) -> String {
    let decimals = match number.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    let text = format!("{number:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    in_thousands(whole) + rest
}

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn numbers_are_short() {
        let words = [0.512, 9.99, 31.41, 314.1, 31_415.9, 1_234_567.0].map(significant);
        assert_eq!(words, ["0.51", "9.99", "31.4", "314", "31,416", "1,234,567"]);
    }
}
