//! Token validation: oneseat, its upper limit, the naive implementation, and the peers.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use super::{p99, rate, validation_of};
use crate::bench::{Bench, say};
use crate::host::{Host, Setup};
use crate::http::get;
use crate::measure::{Subject, Work, sampled};
use crate::outcome::{Outcome, Sample};
use crate::peer::{self, Peer, Place};
use crate::pgbench;
use crate::seed::{Seeded, token};
use crate::wrk::{Load, Requests};

const ONESEAT: &str = "oneseat";
/// With `--validation-lease 0`: PostgreSQL is asked about each token.
const STRICT: &str = "oneseat, strict";
const BARE: &str = "bare handler";
const ONE_QUERY: &str = "one query per request";
const PGBENCH: &str = "pgbench";
/// One connection: the time of one answer without other load.
const ONESEAT_ALONE: &str = "oneseat, one connection";
const STRICT_ALONE: &str = "oneseat, strict, one connection";
const ONE_QUERY_ALONE: &str = "one query per request, one connection";

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let seeded = bench.sessions(bench.options.sessions())?;
    let with_others = Setup {
        with_others: true,
        ..Setup::default()
    };
    let host = Host::start(bench, &seeded, with_others)?;
    // All instances of one database use one lease, so the strict one has its own.
    let strict = Setup {
        strict: true,
        ..Setup::default()
    };
    let strict = Host::start(bench, &bench.own_sessions(bench.options.sessions())?, strict)?;
    let subjects = hosted(bench, &host, &strict, &seeded)?;
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
        "All servers of the table run the whole time; one is asked at a time. oneseat remembers 10,000 sessions, all that are asked \
         about; strict is `--validation-lease 0`. Processor time is that of the server's process and of \
         all of PostgreSQL, without the program that makes the load; for pgbench it is PostgreSQL's alone."
            .to_owned(),
    );
    Ok(outcome)
}

/// The servers in the benchmark's own processes, after checking that they answer the same.
fn hosted(bench: &Bench, host: &Host, strict: &Host, seeded: &Seeded) -> Result<Vec<Subject>> {
    let others = host.addresses.others.context("the host serves oneseat alone")?;
    let header = format!("Authorization: Bearer {}", token(1));
    let body = |address: SocketAddr| get(address, "/auth/session", &header);
    let said = body(host.addresses.oneseat)?;
    ensure!(
        said == body(others.bare)?,
        "the bare handler answers something else"
    );
    ensure!(
        said == body(strict.addresses.oneseat)?,
        "the strict server answers something else"
    );
    ensure!(
        said == body(others.one_query)?,
        "the query answers something else"
    );

    let at = |name: &str, host: &Host, address: SocketAddr, connections: u32| -> Result<Subject> {
        let mut subject = validation_of(bench, host, seeded, name)?;
        subject.load.address = address;
        subject.load.connections = connections;
        Ok(subject)
    };
    let many = bench.options.connections;
    Ok(vec![
        at(STRICT, strict, strict.addresses.oneseat, many)?,
        at(ONESEAT, host, host.addresses.oneseat, many)?,
        at(BARE, host, others.bare, many)?,
        at(ONE_QUERY, host, others.one_query, many)?,
        at(ONESEAT_ALONE, host, host.addresses.oneseat, 1)?,
        at(STRICT_ALONE, strict, strict.addresses.oneseat, 1)?,
        at(ONE_QUERY_ALONE, host, others.one_query, 1)?,
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
    sampled(&bench.cluster, PGBENCH, round, None, || {
        let (clients, seconds) = (bench.options.connections, bench.options.seconds());
        let counted = pgbench::run(bench, &seeded.url, &pgbench::validation(seeded), clients, seconds)?;
        Ok(Work {
            requests: counted.requests,
            rate: counted.rate,
            p50: counted.p50,
            p99: counted.p99,
        })
    })
}

fn conclude(outcome: &mut Outcome, peers: &[Peer]) {
    let others = [BARE, STRICT, ONE_QUERY, PGBENCH].into_iter();
    for other in others.chain(peers.iter().map(|peer| peer.name.as_str())) {
        let ratios = outcome.ratios(ONESEAT, other, rate);
        let key = format!(
            "validation.{}",
            other
                .trim_start_matches("oneseat, ")
                .replace(", ", ".")
                .replace(' ', "_")
        );
        outcome.figure(&key, format!("validations: oneseat / {other}"), "", ratios);
    }
    let milliseconds = outcome.values(ONESEAT, |sample| p99(sample) / 1e3);
    outcome.figure("validation.p99", "validation, p99", "ms", milliseconds);
    let ratios = outcome.ratios(ONESEAT, STRICT, p99);
    outcome.figure(
        "validation.p99.strict",
        "validation p99: oneseat / strict",
        "",
        ratios,
    );
    let ratios = outcome.ratios(ONESEAT, STRICT, |sample| sample.p50_microseconds as f64);
    outcome.figure(
        "validation.p50.strict",
        "validation p50: oneseat / strict",
        "",
        ratios,
    );
    for (subject, key) in [
        (ONESEAT_ALONE, "oneseat"),
        (STRICT_ALONE, "strict"),
        (ONE_QUERY_ALONE, "one_query"),
    ] {
        let milliseconds = outcome.values(subject, |sample| sample.p50_microseconds as f64 / 1e3);
        outcome.figure(
            &format!("validation.alone.{key}"),
            format!("{subject}, p50"),
            "ms",
            milliseconds,
        );
    }
    let processor = |sample: &Sample| sample.processor_microseconds().unwrap_or(f64::NAN);
    for (other, key) in [(BARE, "bare"), (STRICT, "strict")] {
        let ratios = outcome.ratios(ONESEAT, other, processor);
        let label = format!("processor time of a validation: oneseat / {other}");
        outcome.figure(&format!("validation.processor.{key}"), label, "", ratios);
    }
    let ratios = outcome.ratios(ONE_QUERY, ONESEAT, processor);
    outcome.figure(
        "validation.processor",
        "processor time of a validation: one query per request / oneseat",
        "",
        ratios,
    );
}
