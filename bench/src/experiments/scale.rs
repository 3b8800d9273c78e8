//! Does validation get slower with the number of sessions?

use anyhow::Result;

use super::{rate, validation_of};
use crate::bench::Bench;
use crate::host::Host;
use crate::outcome::Outcome;

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let scales = bench.options.scales();
    let mut hosts = Vec::new();
    let mut subjects = Vec::new();
    for sessions in scales.iter().copied() {
        let seeded = bench.sessions(sessions)?;
        let host = Host::start(bench, &seeded, false)?;
        subjects.push(validation_of(bench, &host, &seeded, label(sessions))?);
        hosts.push(host);
    }
    for subject in &subjects {
        subject.warm_up(bench)?;
    }
    for round in 0..bench.options.rounds() {
        for subject in &subjects {
            outcome.samples.push(subject.measure(bench, round)?);
        }
    }
    let (fewest, more) = (label(scales[0]), &scales[1..]);
    for sessions in more.iter().copied() {
        let ratios = outcome.ratios(&label(sessions), &fewest, rate);
        let words = format!("validations: with {} / with {fewest}", label(sessions));
        outcome.figure(&format!("scale.{sessions}"), words, "", ratios);
    }
    let seeded = bench.sessions(scales[scales.len() - 1])?;
    let size = bench.cluster.words(
        &seeded.database,
        "select pg_size_pretty(pg_database_size(current_database())) as word",
    )?;
    outcome.notes.push(format!(
        "10,000 sessions, evenly spread over all, are asked for in random order. The database of {} takes {}.",
        label(seeded.sessions),
        size.join("")
    ));
    Ok(outcome)
}

fn label(sessions: u64) -> String {
    match sessions {
        1_000_000.. if sessions.is_multiple_of(1_000_000) => format!("{}M sessions", sessions / 1_000_000),
        1_000.. if sessions.is_multiple_of(1_000) => format!("{}k sessions", sessions / 1_000),
        _ => format!("{sessions} sessions"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn labels_are_short() {
        assert_eq!(super::label(1_000), "1k sessions");
        assert_eq!(super::label(10_000_000), "10M sessions");
        assert_eq!(super::label(1_500), "1500 sessions");
    }
}
