//! Sign-in compared with Argon2id alone, its only part that must be slow.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{LULL, rate};
use crate::argon;
use crate::bench::{Bench, say};
use crate::host::{Host, Setup};
use crate::measure::{Subject, Work, sampled};
use crate::outcome::Outcome;
use crate::wrk::{Load, Requests};

const CONNECTIONS: u32 = 16;
/// More users than can sign in during one measurement.
const EACH: u64 = 5_000;

const LOGIN: &str = "sign-in";
const ARGON: &str = "Argon2id alone";

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let seeded = bench.own_sessions(bench.options.sessions())?;
    let host = Host::start(bench, &seeded, Setup::default())?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (rounds, seconds) = (bench.options.rounds(), bench.options.seconds());
    let subject = |round: u32| -> Result<Subject> {
        Ok(Subject {
            name: LOGIN.to_owned(),
            server: host.child.pid(),
            load: Load {
                address: host.addresses.oneseat,
                requests: Requests::Login {
                    bodies: seeded.logins(&bench.cluster, u64::from(round) * EACH, EACH)?,
                },
                connections: CONNECTIONS,
                seconds,
                may_be_busy: false,
            },
        })
    };
    subject(rounds)?.warm_up(bench)?;
    for round in 0..rounds {
        outcome.samples.push(subject(round)?.measure(bench, round)?);
        sleep(LULL);
        outcome.samples.push(sampled(
            &bench.cluster,
            ARGON,
            round,
            Some(std::process::id()),
            || {
                let start = Instant::now();
                let rate = argon::rate(threads, Duration::from_secs(u64::from(seconds)))?;
                let one = (threads as f64 / rate * 1e6).round() as u64;
                Ok(Work {
                    requests: (rate * start.elapsed().as_secs_f64()).round() as u64,
                    rate,
                    p50: one,
                    p99: one,
                })
            },
        )?);
    }
    say(format_args!("{threads} threads hash"));
    let ratios = outcome.ratios(LOGIN, ARGON, rate);
    outcome.figure("login", "sign-ins: oneseat / Argon2id alone", "", ratios);
    outcome.notes.push(format!(
        "Distinct users sign in by HTTP on {CONNECTIONS} connections, so that most of a sign-in's time is its wait for a turn; \
         Argon2id (m=19456, t=2, p=1) alone runs on {threads} threads with their memory reused, and shows its mean."
    ));
    Ok(outcome)
}
