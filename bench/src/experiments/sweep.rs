//! Does sweeping a million expired sessions slow validation down?

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{p99, rate, validation_of};
use crate::bench::{Bench, say};
use crate::child::Child;
use crate::host::{Host, Setup};
use crate::measure::Subject;
use crate::options::in_thousands;
use crate::outcome::{Outcome, Sample};
use crate::program;
use crate::seed::Seeded;

const CALM: &str = "validation";
const SWEEP: &str = "validation during a sweep";

/// The time before the measurement begins, so that the sweep is under way.
const LEAD: Duration = Duration::from_millis(500);
/// Measurements before a sweep is ended.
const WINDOWS: usize = 2;
/// Time for PostgreSQL to roll back the batch of a stopped sweep.
const REST: Duration = Duration::from_secs(1);

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let expired = bench.options.expired();
    let seeded = bench.own_sessions(bench.options.sessions())?;
    let host = Host::start(bench, &seeded, Setup::default())?;
    let calm = validation_of(bench, &host, &seeded, CALM)?;
    let swept = validation_of(bench, &host, &seeded, SWEEP)?;
    let words = in_thousands(&expired.to_string());
    say(format_args!("adding {words} expired sessions"));
    seeded.add_expired(&bench.cluster, expired)?;
    calm.warm_up(bench)?;

    let mut rates = Vec::new();
    let mut is_over = false;
    outcome.samples.push(calm.measure(bench, 0)?);
    for round in 0..bench.options.rounds() {
        if is_over {
            break;
        }
        let stint = Stint::sweep(bench, &seeded, &swept, round)?;
        is_over = stint.is_over;
        outcome.samples.extend(stint.samples);
        rates.extend(stint.rate);
        sleep(REST);
        outcome.samples.push(calm.measure(bench, round + 1)?);
    }
    conclude(&mut outcome, &words, rates);
    Ok(outcome)
}

/// The measurements while one `oneseat sweep` ran.
struct Stint {
    samples: Vec<Sample>,
    /// Sessions a second; unknown if the sweep finished, since then its end time is unknown.
    rate: Option<f64>,
    /// Whether nothing is left to sweep.
    is_over: bool,
}

impl Stint {
    fn sweep(bench: &Bench, seeded: &Seeded, subject: &Subject, round: u32) -> Result<Self> {
        let mut sweep = program::command(bench, &["sweep", "--database-url", &seeded.url])?;
        let mut sweep = Child::start(bench, "sweep", &mut sweep)?;
        sleep(LEAD);
        let start = Instant::now();
        let before = seeded.count(&bench.cluster)?;
        let mut samples = Vec::new();
        while samples.len() < WINDOWS && !sweep.has_ended()? {
            let sample = subject.measure(bench, round)?;
            // A measurement that began in a sweep and ended after it counts as neither, unless there is no other.
            if samples.is_empty() || !sweep.has_ended()? {
                samples.push(sample);
            }
        }
        let took = start.elapsed().as_secs_f64();
        let removed = before.saturating_sub(seeded.count(&bench.cluster)?);
        let is_over = sweep.has_ended()?;
        if is_over {
            sweep.finish(Duration::ZERO)?;
        } else {
            // A sweep continues where the last one was stopped.
            drop(sweep);
        }
        say(format_args!(
            "round {}: {removed} sessions swept in {took:.1} s",
            round + 1
        ));
        ensure!(
            removed > 0 && !samples.is_empty(),
            "the sweep was over before anything could be measured"
        );
        Ok(Self {
            samples,
            rate: (!is_over).then_some(removed as f64 / took),
            is_over,
        })
    }
}

/// Each number taken in a sweep, divided by the mean of the two around that sweep.
fn ratios(outcome: &Outcome, number: impl Fn(&Sample) -> f64) -> Vec<f64> {
    let ratio = |sample: &Sample| {
        let around = outcome
            .of(CALM)
            .filter(|calm| calm.round == sample.round || calm.round == sample.round + 1);
        let around: Vec<f64> = around.map(&number).collect();
        number(sample) * around.len() as f64 / around.iter().sum::<f64>()
    };
    outcome.of(SWEEP).map(ratio).collect()
}

fn conclude(outcome: &mut Outcome, expired: &str, rates: Vec<f64>) {
    for (key, what, ratios) in [
        ("p99", "validation p99", ratios(outcome, p99)),
        (
            "p50",
            "validation p50",
            ratios(outcome, |sample| sample.p50_microseconds as f64),
        ),
        ("rate", "validations", ratios(outcome, rate)),
    ] {
        let label = format!("{what}: during a sweep / without");
        outcome.figure(&format!("sweep.{key}"), label, "", ratios);
    }
    outcome.figure("sweep.rows", "sessions swept under load", "/s", rates);
    outcome.notes.push(format!(
        "{expired} expired sessions are in the table at first. `oneseat sweep` is started, validation measured {WINDOWS} times, and the \
         sweep ended, in turns with measurements without a sweep; each number is compared with the mean of the two around its sweep. \
         The processor time of a validation during a sweep holds that of the sweep in PostgreSQL."
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(subject: &str, round: u32, rate: f64) -> Sample {
        Sample {
            subject: subject.to_owned(),
            round,
            requests: 1,
            requests_per_second: rate,
            p50_microseconds: 1,
            p99_microseconds: 1,
            server_microseconds: None,
            database_microseconds: None,
        }
    }

    #[test]
    fn a_sweep_is_compared_with_both_neighbours() {
        let outcome = Outcome {
            samples: vec![
                sample(CALM, 0, 10.0),
                sample(SWEEP, 0, 5.0),
                sample(SWEEP, 0, 10.0),
                sample(CALM, 1, 30.0),
                sample(SWEEP, 1, 20.0),
                sample(CALM, 2, 10.0),
            ],
            ..Outcome::default()
        };
        assert_eq!(ratios(&outcome, rate), [0.25, 0.5, 1.0]);
    }
}
