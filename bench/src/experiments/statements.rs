//! How many statements does PostgreSQL see for a thousand validations?

use anyhow::Result;

use super::validation_of;
use crate::bench::Bench;
use crate::host::{Host, Setup};
use crate::outcome::Outcome;
use crate::seed::Seeded;

/// The name of each set-up, and whether it is strict: then nothing is remembered, and each token is asked about.
const SETUPS: [(&str, bool); 2] = [("oneseat", false), ("oneseat, strict", true)];

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut running = Vec::new();
    bench
        .cluster
        .execute("postgres", "create extension if not exists pg_stat_statements")?;
    for (name, strict) in SETUPS {
        let seeded = bench.own_sessions(bench.options.sessions())?;
        for setting in ["compute_query_id = on", "pg_stat_statements.track = top"] {
            let set = format!("alter database {} set {setting}", seeded.database);
            bench.cluster.execute("postgres", &set)?;
        }
        let setup = Setup {
            strict,
            ..Setup::default()
        };
        let host = Host::start(bench, &seeded, setup)?;
        let subject = validation_of(bench, &host, &seeded, name)?;
        subject.warm_up(bench)?;
        running.push((seeded, subject, Vec::new(), host));
    }
    for round in 0..bench.options.rounds() {
        for (seeded, subject, values, _) in &mut running {
            let before = statements(bench, seeded)?;
            let sample = subject.measure(bench, round)?;
            let count = statements(bench, seeded)?.saturating_sub(before);
            values.push(count as f64 * 1e3 / sample.requests as f64);
            outcome.samples.push(sample);
        }
    }
    for (at, (_, subject, values, _)) in running.into_iter().enumerate() {
        let key = ["statements", "statements.strict"][at];
        let label = format!("{}: statements for 1,000 validations", subject.name);
        outcome.figure(key, label, "statements", values);
    }
    outcome.notes.push(
        "Counted by pg_stat_statements in the server's database, those of the feed and those in transactions included. It is \
         off in all other experiments."
            .to_owned(),
    );
    Ok(outcome)
}

fn statements(bench: &Bench, seeded: &Seeded) -> Result<u64> {
    let query = format!(
        "select coalesce(sum(calls), 0)::text as word from pg_stat_statements s join pg_database d on d.oid = s.dbid
         where d.datname = '{}'",
        seeded.database
    );
    Ok(bench.cluster.words("postgres", &query)?.concat().parse()?)
}
