//! What does the feed cost a sign-in in PostgreSQL, where a flush takes long?

use anyhow::Result;

use super::rate;
use crate::bench::{Bench, say};
use crate::cluster::Cluster;
use crate::measure::{Work, sampled};
use crate::outcome::Outcome;
use crate::pgbench;

const CLIENTS: u32 = 64;
const SESSIONS: u64 = 20_000;
const SIGN_IN: &str = include_str!("../sign_in.sql");
/// What a sign-in tells the feed.
const NAMED: &str = ", named as (
    insert into feed (user_id, is_end) select md5('user' || :user::text)::uuid, exists (select from ended)
)";

const WITH: &str = "with the feed";
const WITHOUT: &str = "without any notice";
const NOTIFY: &str = "with a NOTIFY in place of the feed";

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    say(format_args!("starting a PostgreSQL with slow flushes"));
    let cluster = Cluster::with_slow_flushes()?;
    let seeded = bench.sessions_in(&cluster, SESSIONS.min(bench.options.sessions()))?;
    let sign_in = SIGN_IN.replace("USERS", &seeded.sessions.to_string());
    let mut subjects = Vec::new();
    for (at, (name, has_feed, end)) in [
        (WITH, true, "commit;\n"),
        (WITHOUT, false, "commit;\n"),
        (
            NOTIFY,
            false,
            "select pg_notify('sessions', :user::text);\ncommit;\n",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let database = format!("sign_in_{at}");
        cluster.copy(&seeded.database, &database)?;
        if !has_feed {
            cluster.execute(
                &database,
                "alter table sessions disable trigger user; alter table users disable trigger user",
            )?;
        }
        let named = if has_feed { NAMED } else { "" };
        for setting in [
            "oneseat.waits_after_commit = 'on'",
            "oneseat.names_its_user = 'on'",
            "enable_seqscan = off",
        ] {
            cluster.execute("postgres", &format!("alter database {database} set {setting}"))?;
        }
        subjects.push((
            name,
            cluster.url(&database),
            format!("{}{end}", sign_in.replace("NAMED", named)),
        ));
    }
    for (_, url, statements) in &subjects {
        pgbench::run(bench, url, statements, CLIENTS, 1)?;
    }
    for round in 0..bench.options.rounds() {
        for (name, url, statements) in &subjects {
            outcome.samples.push(sampled(&cluster, name, round, None, || {
                let counted = pgbench::run(bench, url, statements, CLIENTS, bench.options.seconds())?;
                Ok(Work {
                    requests: counted.requests,
                    rate: counted.rate,
                    p50: counted.p50,
                    p99: counted.p99,
                })
            })?);
        }
    }
    for (key, name) in [("feed", WITH), ("feed.notify", NOTIFY)] {
        let label = format!("sign-ins in PostgreSQL, flushes 5 ms slower: {name} / {WITHOUT}");
        let ratios = outcome.ratios(name, WITHOUT, rate);
        outcome.figure(key, label, "", ratios);
    }
    outcome.notes.push(format!(
        "pgbench sends the statements of a sign-in that replaces a session, with {CLIENTS} clients, to a PostgreSQL of its own \
         whose `fdatasync` takes 5 ms longer. Without: the triggers are disabled."
    ));
    Ok(outcome)
}
