//! Does sweeping a million expired sessions get in the way of validation?

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{p99, rate, validation_of};
use crate::bench::{Bench, say};
use crate::child::Child;
use crate::host::Host;
use crate::options::in_thousands;
use crate::outcome::Outcome;
use crate::program;

const CALM: &str = "validation";
const SWEEP: &str = "validation during a sweep";

const LONGEST: Duration = Duration::from_secs(20 * 60);
/// Before the measurement begins, so that the sweep is under way.
const LEAD: Duration = Duration::from_millis(500);
/// Measurements during one sweep, at most.
const MOST: usize = 20;

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let expired = bench.options.expired();
    let seeded = bench.own_sessions(bench.options.sessions())?;
    let host = Host::start(bench, &seeded, false)?;
    let calm = validation_of(bench, &host, &seeded, CALM)?;
    let swept = validation_of(bench, &host, &seeded, SWEEP)?;
    calm.warm_up(bench)?;
    let mut seconds = Vec::new();
    // Each takes minutes; three tell as much.
    for round in 0..bench.options.rounds().min(3) {
        say(format_args!(
            "adding {} expired sessions",
            in_thousands(&expired.to_string())
        ));
        seeded.add_expired(&bench.cluster, expired, round)?;
        outcome.samples.push(calm.measure(bench, round)?);

        let mut sweep = program::command(bench, &["sweep", "--database-url", &seeded.url])?;
        let start = Instant::now();
        let mut sweep = Child::start(bench, "sweep", &mut sweep)?;
        std::thread::sleep(LEAD);
        let mut measured = 0;
        while !sweep.has_ended()? && measured < MOST {
            let sample = swept.measure(bench, round)?;
            // What began in a sweep and ended after it is of neither kind, unless there is nothing else.
            if !sweep.has_ended()? || measured == 0 {
                outcome.samples.push(sample);
            }
            measured += 1;
        }
        ensure!(
            measured > 0,
            "the sweep was over before anything could be measured"
        );
        let said = sweep.finish(LONGEST)?;
        let took = start.elapsed().as_secs_f64();
        say(format_args!(
            "round {}: {} in {took:.1} s",
            round + 1,
            said.trim()
        ));
        ensure!(
            said.contains(&format!("removed {expired} expired sessions")),
            "the sweep did something else: {said}"
        );
        seconds.push(took);
    }
    conclude(&mut outcome, expired, &seconds);
    Ok(outcome)
}

fn conclude(outcome: &mut Outcome, expired: u64, seconds: &[f64]) {
    let ratios = outcome.ratios(SWEEP, CALM, p99);
    outcome.figure(
        "sweep.p99",
        "validation p99: during a sweep / without",
        "",
        ratios,
    );
    let ratios = outcome.ratios(SWEEP, CALM, |sample| sample.p50_microseconds as f64);
    outcome.figure(
        "sweep.p50",
        "validation p50: during a sweep / without",
        "",
        ratios,
    );
    let ratios = outcome.ratios(SWEEP, CALM, rate);
    outcome.figure("sweep.rate", "validations: during a sweep / without", "", ratios);
    outcome.figure(
        "sweep.seconds",
        format!(
            "sweep of {} expired sessions under load",
            in_thousands(&expired.to_string())
        ),
        "s",
        seconds.to_vec(),
    );
    let rows = seconds.iter().map(|seconds| expired as f64 / seconds).collect();
    outcome.figure("sweep.rows", "sessions swept under load", "/s", rows);
    outcome.notes.push(
        "Validation is measured again and again while `oneseat sweep` runs; each measurement is compared with the one just before \
         that sweep, with the same expired rows in the table. The median is over all of them, and the spread shows the worst. The \
         processor time of a validation during a sweep holds that of the sweep in PostgreSQL."
            .to_owned(),
    );
}
