//! How long does a sign-out take? It waits for the lease.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::bench::{Bench, say};
use crate::host::{Host, Setup};
use crate::http::post_with;
use crate::outcome::Outcome;
use crate::seed::token;

const CLIENTS: u64 = 8;
/// The sign-outs of each client in each round.
const SIGN_OUTS: u64 = 25;

/// Name, key, and whether nothing is remembered, so that a sign-out waits for no lease.
const SETUPS: [(&str, &str, bool); 2] = [
    ("sign-out", "sign_out", false),
    ("sign-out, strict", "sign_out.strict", true),
];

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut hosts = Vec::new();
    for (name, key, strict) in SETUPS {
        let seeded = bench.own_sessions(bench.options.sessions())?;
        let setup = Setup {
            strict,
            ..Setup::default()
        };
        let host = Host::start(bench, &seeded, setup)?;
        hosts.push((name, key, host, Vec::new(), Vec::new()));
    }
    let each = CLIENTS * SIGN_OUTS;
    let rounds = (bench.options.sessions() / each).min(u64::from(bench.options.rounds()));
    for round in 0..rounds {
        for (name, _, host, medians, last) in &mut hosts {
            let times = sign_out(host.addresses.oneseat, 1 + round * each)?;
            let percentile = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
            let (p50, p99) = (percentile(50), percentile(99));
            say(format_args!(
                "round {}: {name}: p50 {p50:.1} ms, p99 {p99:.1} ms",
                round + 1
            ));
            medians.push(p50);
            last.push(p99);
        }
    }
    for (name, key, _, medians, last) in hosts {
        outcome.figure(&format!("{key}.p50"), format!("{name}, p50"), "ms", medians);
        outcome.figure(&format!("{key}.p99"), format!("{name}, p99"), "ms", last);
    }
    outcome.notes.push(format!(
        "{CLIENTS} clients sign distinct users out, {SIGN_OUTS} times each in a round, on a new connection each time, without \
         other load. The lease is 200 ms; a sign-out waits for 209."
    ));
    Ok(outcome)
}

/// The times of all clients, the shortest first.
fn sign_out(address: SocketAddr, first: u64) -> Result<Vec<Duration>> {
    let client = |client: u64| -> Result<Vec<Duration>> {
        (0..SIGN_OUTS)
            .map(|at| {
                let header = format!("Authorization: Bearer {}", token(first + client * SIGN_OUTS + at));
                let start = Instant::now();
                post_with(address, "/auth/logout", &header, "")?;
                Ok(start.elapsed())
            })
            .collect()
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|at| scope.spawn(move || client(at))).collect();
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.join().map_err(|_| anyhow!("a client died"))??);
        }
        times.sort_unstable();
        Ok(times)
    })
}
