//! Does validation get slower with the number of sessions?

use anyhow::Result;

use super::{rate, validation_of};
use crate::bench::Bench;
use crate::host::{Host, Setup};
use crate::measure::Subject;
use crate::outcome::{Outcome, Sample};
use crate::wrk::Requests;

/// The least rate, in validations a second, of the warm-up, while sessions are not remembered yet.
const COLD_RATE: u64 = 15_000;
/// The capacity for each session: all of them are to be remembered, although they are spread unevenly.
const ROOM: f64 = 1.2;

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let scales = bench.options.scales();
    let mut hosts = Vec::new();
    let mut subjects = Vec::new();
    for sessions in scales.iter().copied() {
        let seeded = bench.sessions(sessions)?;
        let host = Host::start(bench, &seeded, Setup::default())?;
        subjects.push(validation_of(bench, &host, &seeded, label(sessions))?);
        hosts.push(host);
    }
    for subject in &subjects {
        subject.warm_up(bench)?;
    }
    // One more server is asked about all of its sessions, and remembers them. More lines than this would not fit into
    // wrk's memory.
    let all = scales
        .iter()
        .copied()
        .filter(|sessions| *sessions <= 1_000_000)
        .max();
    let all = all.unwrap_or(scales[0]);
    let (subject, host) = all_remembered(bench, all)?;
    subjects.push(subject);
    hosts.push(host);
    for round in 0..bench.options.rounds() {
        for subject in &subjects {
            outcome.samples.push(subject.measure(bench, round)?);
        }
    }
    let processor = |sample: &Sample| sample.processor_microseconds().unwrap_or(f64::NAN);
    let ratios = outcome.ratios(&label_of_all(all), &label(scales[0]), processor);
    let words = format!(
        "processor time of a validation: with {} asked about / with {}",
        label_of_all(all),
        label(scales[0])
    );
    outcome.figure("scale.all", words, "", ratios);
    // The first thread of wrk already runs while the second reads so many lines: its rate means nothing.
    outcome
        .samples
        .retain(|sample| sample.subject != label_of_all(all));
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
        "10,000 sessions, evenly spread over all, are asked for in random order, and remembered. Where \
         all are asked about, all are remembered (capacity 1,200,000 for a million). The database of {} takes {}.",
        label(seeded.sessions),
        size.join("")
    ));
    Ok(outcome)
}

/// A server that remembers every session, once each has been asked about.
fn all_remembered(bench: &Bench, sessions: u64) -> Result<(Subject, Host)> {
    let seeded = bench.own_sessions(sessions)?;
    let setup = Setup {
        capacity: Some((sessions as f64 * ROOM) as usize),
        ..Setup::default()
    };
    let host = Host::start(bench, &seeded, setup)?;
    let mut subject = validation_of(bench, &host, &seeded, label_of_all(sessions))?;
    subject.load.requests = Requests::Get {
        path: "/auth/session".to_owned(),
        headers: seeded.all_headers(&bench.cluster)?,
    };
    subject.warm_up_for(bench, u32::try_from(1 + sessions / COLD_RATE)?)?;
    Ok((subject, host))
}

fn label_of_all(sessions: u64) -> String {
    format!("all of {}", label(sessions))
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
