//! Plots as SVG: without scripts or external fonts, for light and dark.

use anyhow::Result;
use askama::Template;

use super::Report;
use super::table::significant;
use crate::experiment::Experiment;
use crate::outcome::{Outcome, Sample, Spread};

/// Where the plot begins and how wide it is; labels stand before it, numbers behind.
const LEFT: f64 = 285.0;
const WIDTH: f64 = 315.0;
const ROW: f64 = 30.0;
const TOP: f64 = 62.0;

#[derive(Template)]
#[template(path = "plot.svg", escape = "html")]
struct Plot {
    title: &'static str,
    subtitle: String,
    height: f64,
    left: f64,
    marks: Vec<Mark>,
    rows: Vec<Row>,
}

/// A line across all rows, with its number.
struct Mark {
    x: f64,
    label: String,
}

/// One subject: a bar with a whisker, or a span between two dots.
struct Row {
    y: f64,
    label: String,
    number: String,
    is_ours: bool,
    /// Width of the bar; none where there are two dots.
    bar: Option<f64>,
    from: f64,
    to: f64,
}

pub(super) fn all(report: &Report) -> Result<Vec<(&'static str, String)>> {
    let mut plots = Vec::new();
    if let Some(outcome) = report.outcome_of(Experiment::Validation) {
        // On one connection the rate has no meaning.
        let many = |subject: &str| !subject.ends_with("one connection");
        plots.push((
            "validation.svg",
            bars("Validations per second", report, outcome, many, |sample| {
                Some(sample.requests_per_second)
            })?,
        ));
        plots.push((
            "processor.svg",
            bars(
                "Processor time of one validation, server and PostgreSQL, µs",
                report,
                outcome,
                many,
                Sample::processor_microseconds,
            )?,
        ));
    }
    if let Some(outcome) = report.outcome_of(Experiment::Scale) {
        plots.push((
            "scale.svg",
            bars(
                "Validations per second over more and more sessions",
                report,
                outcome,
                |_| true,
                |sample| Some(sample.requests_per_second),
            )?,
        ));
    }
    let latencies = [Experiment::Validation, Experiment::Storm, Experiment::Sweep];
    let latencies: Vec<&Outcome> = latencies
        .iter()
        .filter_map(|name| report.outcome_of(*name))
        .collect();
    if !latencies.is_empty() {
        plots.push(("latency.svg", spans(report, &latencies)?));
    }
    Ok(plots)
}

fn is_ours(subject: &str) -> bool {
    subject.starts_with("oneseat") || subject.starts_with("validation") || subject.ends_with(" sessions")
}

/// One bar for each subject: the median, with least and most as its whisker.
fn bars(
    title: &'static str,
    report: &Report,
    outcome: &Outcome,
    wanted: impl Fn(&str) -> bool,
    number: impl Fn(&Sample) -> Option<f64>,
) -> Result<String> {
    let subjects = outcome.subjects().into_iter().filter(|subject| wanted(subject));
    let spreads: Vec<(&str, Spread)> = subjects
        .filter_map(|subject| {
            let values: Vec<f64> = outcome.of(subject).filter_map(&number).collect();
            Some((subject, Spread::of(&values)?))
        })
        .collect();
    let most = spreads.iter().map(|(_, spread)| spread.most).fold(0.0, f64::max);
    let x = |number: f64| LEFT + WIDTH * number / most;
    let rows = spreads.iter().enumerate().map(|(at, (subject, spread))| Row {
        y: TOP + ROW * at as f64,
        label: (*subject).to_owned(),
        number: significant(spread.median),
        is_ours: is_ours(subject),
        bar: Some(x(spread.median) - LEFT),
        from: x(spread.least),
        to: x(spread.most),
    });
    let subtitle = format!("median, least and most; {}", report.run);
    render(title, subtitle, Vec::new(), rows.collect())
}

/// From p50 to p99 for each subject, on a logarithmic scale: some are a hundred times slower than others.
fn spans(report: &Report, outcomes: &[&Outcome]) -> Result<String> {
    let mut spans = Vec::new();
    for outcome in outcomes {
        for subject in outcome.subjects() {
            // The first rows already show the counterpart of a storm or a sweep.
            if subject == "validation" {
                continue;
            }
            let median = |number: &dyn Fn(&Sample) -> u64| {
                let values: Vec<f64> = outcome
                    .of(subject)
                    .map(|sample| number(sample) as f64 / 1e3)
                    .collect();
                Spread::of(&values).map(|spread| spread.median)
            };
            let both =
                median(&|sample| sample.p50_microseconds).zip(median(&|sample| sample.p99_microseconds));
            spans.extend(both.map(|(p50, p99)| (subject, p50, p99)));
        }
    }
    let least = spans.iter().map(|(_, p50, _)| *p50).fold(f64::MAX, f64::min);
    let most = spans.iter().map(|(.., p99)| *p99).fold(0.0, f64::max);
    let (first, last) = (
        least.log10().floor(),
        most.log10().ceil().max(least.log10().floor() + 1.0),
    );
    let x = |milliseconds: f64| LEFT + WIDTH * (milliseconds.log10() - first) / (last - first);
    let mut marks = Vec::new();
    let mut power = first;
    while power <= last {
        let milliseconds = 10_f64.powf(power);
        marks.push(Mark {
            x: x(milliseconds),
            label: format!("{milliseconds} ms"),
        });
        power += 1.0;
    }
    let rows = spans.iter().enumerate().map(|(at, (subject, p50, p99))| Row {
        y: TOP + ROW * at as f64,
        label: (*subject).to_owned(),
        number: format!("{} – {} ms", significant(*p50), significant(*p99)),
        is_ours: is_ours(subject),
        bar: None,
        from: x(*p50),
        to: x(*p99),
    });
    let subtitle = format!("from p50 to p99, medians; logarithmic; {}", report.run);
    render("How long an answer takes", subtitle, marks, rows.collect())
}

fn render(title: &'static str, subtitle: String, marks: Vec<Mark>, rows: Vec<Row>) -> Result<String> {
    let plot = Plot {
        title,
        subtitle,
        height: TOP + ROW * rows.len() as f64 + 30.0,
        left: LEFT,
        marks,
        rows,
    };
    Ok(plot.render()?)
}
