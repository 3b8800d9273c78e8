//! Token validation: oneseat, its upper limit, the naive implementation, and the peers.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use super::{p99, rate, validation_of};
use crate::bench::{Bench, say};
use crate::host::Host;
use crate::http::get;
use crate::measure::{Subject, Work, sampled};
use crate::outcome::{Outcome, Sample};
use crate::peer::{self, Peer, Place};
use crate::pgbench;
use crate::seed::{Seeded, token};
use crate::wrk::{Load, Requests};

const ONESEAT: &str = "oneseat";
const BARE: &str = "bare handler";
const ONE_QUERY: &str = "one query per request";
const PGBENCH: &str = "pgbench";
/// One connection: the time of one answer without other load.
const ONESEAT_ALONE: &str = "oneseat, one connection";
const ONE_QUERY_ALONE: &str = "one query per request, one connection";

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let seeded = bench.sessions(bench.options.sessions())?;
    let host = Host::start(bench, &seeded, true)?;
    let subjects = hosted(bench, &host, &seeded)?;
    let peers = peers(bench, &mut outcome)?;
    let mut theirs: Vec<Subject> = peers.iter().map(|peer| subject_of(bench, peer)).collect();

    for subject in &subjects {
        subject.warm_up(bench)?;
    }
    theirs.retain(|subject| is_well(subject.warm_up(bench), subject, &mut outcome));
    for round in 0..bench.options.rounds() {
        for subject in &subjects {
            outcome.samples.push(subject.measure(bench, round)?);
        }
        theirs.retain(|subject| {
            let measured = subject.measure(bench, round);
            let measured = measured.map(|sample| outcome.samples.push(sample));
            is_well(measured, subject, &mut outcome)
        });
        outcome.samples.push(pgbench_alone(bench, &seeded, round)?);
    }
    conclude(&mut outcome, &peers);
    outcome.notes.push(
        "All servers of the table run the whole time; one is asked at a time. Processor time is that of the server's process and of \
         all of PostgreSQL, without the program that makes the load; for pgbench it is PostgreSQL's alone."
            .to_owned(),
    );
    Ok(outcome)
}

/// The servers in the one process, after checking that they answer the same.
fn hosted(bench: &Bench, host: &Host, seeded: &Seeded) -> Result<Vec<Subject>> {
    let others = host.addresses.others.context("the host serves oneseat alone")?;
    let header = format!("Authorization: Bearer {}", token(1));
    let body = |address: SocketAddr| get(address, "/auth/session", &header);
    let said = body(host.addresses.oneseat)?;
    ensure!(
        said == body(others.bare)?,
        "the bare handler answers something else"
    );
    ensure!(
        said == body(others.one_query)?,
        "the query answers something else"
    );

    let at = |name: &str, address: SocketAddr, connections: u32| -> Result<Subject> {
        let mut subject = validation_of(bench, host, seeded, name)?;
        subject.load.address = address;
        subject.load.connections = connections;
        Ok(subject)
    };
    let many = bench.options.connections;
    Ok(vec![
        at(ONESEAT, host.addresses.oneseat, many)?,
        at(BARE, others.bare, many)?,
        at(ONE_QUERY, others.one_query, many)?,
        at(ONESEAT_ALONE, host.addresses.oneseat, 1)?,
        at(ONE_QUERY_ALONE, others.one_query, 1)?,
    ])
}

/// All peers that start, each in all its variants. The table lists those that do not start as missing.
fn peers(bench: &Bench, outcome: &mut Outcome) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for place in peer::all(bench)? {
        for (name, started) in started(bench, &place) {
            match started {
                Ok(peer) => peers.push(peer),
                Err(error) => {
                    say(format_args!("{name} FAILED: {error:#}"));
                    outcome.notes.push(format!("{name} is missing: {error:#}"));
                }
            }
        }
    }
    Ok(peers)
}

/// Each variant of one peer, or why it does not run; all use the same database.
fn started(bench: &Bench, place: &Place) -> Vec<(String, Result<Peer>)> {
    let filled = match place.fill(bench, bench.options.sessions()) {
        Ok(filled) => filled,
        Err(error) => return vec![(place.name.clone(), Err(error))],
    };
    let variants = place.variants().iter();
    variants
        .map(|variant| (variant.name.clone(), Peer::start(bench, &filled, variant)))
        .collect()
}

/// A peer that fails under load is excluded, and the table says why.
fn is_well(done: Result<()>, peer: &Subject, outcome: &mut Outcome) -> bool {
    let Err(error) = done else { return true };
    say(format_args!("{} FAILED: {error:#}", peer.name));
    let words = format!("{} was given up under load: {error:#}", peer.name);
    outcome.notes.push(words);
    false
}

fn subject_of(bench: &Bench, peer: &Peer) -> Subject {
    Subject {
        name: peer.name.clone(),
        server: peer.child.pid(),
        load: Load {
            address: peer.address,
            requests: Requests::Get {
                path: peer.path.clone(),
                headers: peer.headers.clone(),
            },
            connections: bench.options.connections,
            seconds: bench.options.seconds(),
            may_be_busy: false,
        },
    }
}

fn pgbench_alone(bench: &Bench, seeded: &Seeded, round: u32) -> Result<Sample> {
    sampled(bench, PGBENCH, round, None, || {
        let counted = pgbench::run(bench, seeded, bench.options.connections, bench.options.seconds())?;
        Ok(Work {
            requests: counted.requests,
            rate: counted.rate,
            p50: counted.p50,
            p99: counted.p99,
        })
    })
}

fn conclude(outcome: &mut Outcome, peers: &[Peer]) {
    let others = [BARE, ONE_QUERY, PGBENCH].into_iter();
    for other in others.chain(peers.iter().map(|peer| peer.name.as_str())) {
        let ratios = outcome.ratios(ONESEAT, other, rate);
        let key = format!("validation.{}", other.replace(", ", ".").replace(' ', "_"));
        outcome.figure(&key, format!("validations: oneseat / {other}"), "", ratios);
    }
    let milliseconds = outcome.values(ONESEAT, |sample| p99(sample) / 1e3);
    outcome.figure("validation.p99", "validation, p99", "ms", milliseconds);
    for (subject, key) in [(ONESEAT_ALONE, "oneseat"), (ONE_QUERY_ALONE, "one_query")] {
        let milliseconds = outcome.values(subject, |sample| sample.p50_microseconds as f64 / 1e3);
        outcome.figure(
            &format!("validation.alone.{key}"),
            format!("{subject}, p50"),
            "ms",
            milliseconds,
        );
    }
    let processor = |sample: &Sample| sample.processor_microseconds().unwrap_or(f64::NAN);
    let ratios = outcome.ratios(ONE_QUERY, ONESEAT, processor);
    outcome.figure(
        "validation.processor",
        "processor time of a validation: one query per request / oneseat",
        "",
        ratios,
    );
}
