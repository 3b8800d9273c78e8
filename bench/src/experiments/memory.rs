//! The memory of `oneseat serve`: idle, at work, and with many open event streams.

use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, say};
use crate::http::post;
use crate::outcome::Outcome;
use crate::proc::{Memory, memory};
use crate::program::Program;
use crate::seed::Seeded;
use crate::streams;
use crate::wrk::{Load, Requests};

const MIB: f64 = 1024.0 * 1024.0;
/// Time for running work to finish.
const SETTLED: Duration = Duration::from_secs(2);
/// Time for the hashing threads to free their memory, one by one, each after ten seconds without work.
const RESTED: Duration = Duration::from_secs(25);
const SIGN_INS: u64 = 10;
/// The least rate, in validations a second, while sessions are not remembered yet.
const COLD_RATE: u64 = 10_000;

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let seeded = bench.own_sessions(bench.options.sessions())?;
    // Three rounds are enough: memory hardly differs.
    for round in 0..bench.options.rounds().min(3) {
        for (key, label, unit, value) in round_of(bench, &seeded, round)? {
            say(format_args!("round {}: {label}: {value:.1} {unit}", round + 1));
            match outcome.figures.iter_mut().find(|figure| figure.key == key) {
                Some(figure) => figure.values.push(value),
                None => outcome.figure(&key, label, unit, vec![value]),
            }
        }
    }
    outcome.notes.push(
        "Of `oneseat serve` with its defaults, but for no limit of sign-ins from one address, longer sessions, and a database of its own elsewhere. \
         Resident memory holds the pages of shared libraries; private is what would be free without it. Each sign-in thread that \
         has hashed keeps 19 MiB to hash in, and gives them back when there was nothing to hash for a while."
            .to_owned(),
    );
    Ok(outcome)
}

type Row = (String, String, &'static str, f64);

fn round_of(bench: &Bench, seeded: &Seeded, round: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut note = |key: &str, label: &str, memory: Memory| {
        for (kind, bytes) in [("resident", memory.resident), ("private", memory.private)] {
            rows.push((
                format!("memory.{key}.{kind}"),
                format!("{label}, {kind}"),
                "MiB",
                bytes as f64 / MIB,
            ));
        }
    };
    let program = Program::serve(
        bench,
        seeded,
        &[
            "--max-event-streams=6000",
            // No measurement meets a session whose activity is due to be written, however long the run takes.
            "--activity-threshold=5h",
            "--idle-timeout=11h",
        ],
    )?;
    let pid = program.child.pid();
    let settled = || {
        std::thread::sleep(SETTLED);
        memory(pid)
    };
    note("idle", "idle after the start", settled()?);

    for visitor in 0..SIGN_INS {
        let login = seeded.login_of(u64::from(round) * SIGN_INS + visitor);
        post(program.address, "/auth/login", &login)?;
    }
    note(
        "signed_in",
        &format!("idle after {SIGN_INS} sign-ins"),
        settled()?,
    );
    std::thread::sleep(RESTED.saturating_sub(SETTLED));
    note(
        "idle_again",
        &format!("idle again, {} s after the last sign-in", RESTED.as_secs()),
        memory(pid)?,
    );

    let seconds = bench.options.seconds().max(2);
    let load = Load {
        address: program.address,
        requests: Requests::Get {
            path: "/auth/session".to_owned(),
            headers: seeded.headers(&bench.cluster)?,
        },
        connections: bench.options.connections,
        seconds,
        may_be_busy: false,
    };
    let running = load.clone().start(bench, "memory")?;
    std::thread::sleep(Duration::from_secs(u64::from(seconds)) / 2);
    let under_load = memory(pid)?;
    running.finish()?;
    note("loaded", "under validation load", under_load);
    note("after", "after the load", settled()?);

    // After a load with all sessions, `many` more are remembered.
    let (few, many) = (memory(pid)?, seeded.sessions - seeded.asked().1);
    let all = Load {
        requests: Requests::Get {
            path: "/auth/session".to_owned(),
            headers: seeded.all_headers(&bench.cluster)?,
        },
        seconds: u32::try_from(seeded.sessions / COLD_RATE)?.max(2),
        ..load
    };
    all.run(bench, "all")?;
    let before = settled()?;
    note(
        "all",
        &format!("after a load with {} sessions", seeded.sessions),
        before,
    );
    let one = before.resident.saturating_sub(few.resident) as f64 / many.max(1) as f64;

    let count = bench.options.streams();
    let streams = streams::open(program.address, seeded, count)?;
    let with_streams = settled()?;
    note(
        "streams",
        &format!("with {count} event streams open"),
        with_streams,
    );
    drop(streams);
    rows.push((
        "memory.session".to_owned(),
        "one remembered session".to_owned(),
        "bytes",
        one,
    ));
    rows.push((
        "memory.stream".to_owned(),
        "one event stream".to_owned(),
        "KiB",
        with_streams.private.saturating_sub(before.private) as f64 / count as f64 / 1024.0,
    ));
    Ok(rows)
}
