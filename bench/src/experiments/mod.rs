//! The experiments. Each is independent: it starts what it needs, and its failures do not affect the others.

mod feed;
mod login;
mod memory;
mod scale;
mod sign_out;
mod statements;
mod storm;
mod sweep;
mod validation;

use std::time::Duration;

use anyhow::Result;

use crate::bench::Bench;
use crate::experiment::Experiment;
use crate::host::Host;
use crate::measure::Subject;
use crate::outcome::{Outcome, Sample};
use crate::seed::Seeded;
use crate::wrk::{Load, Requests};

pub fn run(experiment: Experiment, bench: &Bench) -> Result<Outcome> {
    match experiment {
        Experiment::Validation => validation::run(bench),
        Experiment::Statements => statements::run(bench),
        Experiment::Scale => scale::run(bench),
        Experiment::Login => login::run(bench),
        Experiment::Feed => feed::run(bench),
        Experiment::SignOut => sign_out::run(bench),
        Experiment::Storm => storm::run(bench),
        Experiment::Sweep => sweep::run(bench),
        Experiment::Memory => memory::run(bench),
    }
}

/// The pause after a load of sign-ins: passwords are still hashed when no client waits for the answer any more.
const LULL: Duration = Duration::from_secs(2);

fn rate(sample: &Sample) -> f64 {
    sample.requests_per_second
}

fn p99(sample: &Sample) -> f64 {
    sample.p99_microseconds as f64
}

/// `GET /auth/session` of oneseat in its own process, with the sessions in turn.
fn validation_of(bench: &Bench, host: &Host, seeded: &Seeded, name: impl Into<String>) -> Result<Subject> {
    Ok(Subject {
        name: name.into(),
        server: host.child.pid(),
        load: Load {
            address: host.addresses.oneseat,
            requests: Requests::Get {
                path: "/auth/session".to_owned(),
                headers: seeded.headers(&bench.cluster)?,
            },
            connections: bench.options.connections,
            seconds: bench.options.seconds(),
            may_be_busy: false,
        },
    })
}
