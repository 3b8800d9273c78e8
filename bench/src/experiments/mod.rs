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
use clap::ValueEnum;
use serde::Serialize;

use crate::bench::Bench;
use crate::host::Host;
use crate::measure::Subject;
use crate::outcome::{Outcome, Sample};
use crate::seed::Seeded;
use crate::wrk::{Load, Requests};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Experiment {
    /// Validation compared with a bare handler, one query for each request, pgbench, and the peers
    Validation,
    /// Statements that PostgreSQL sees for validations
    Statements,
    /// Validation over more and more sessions
    Scale,
    /// Sign-in compared with Argon2id alone
    Login,
    /// Sign-ins in PostgreSQL, with the feed and without
    Feed,
    /// How long a sign-out takes
    SignOut,
    /// Validation while many sign in
    Storm,
    /// Validation while expired sessions are swept
    Sweep,
    /// The program's memory, idle and at work
    Memory,
}

impl Experiment {
    pub const ALL: [Self; 9] = [
        Self::Validation,
        Self::Statements,
        Self::Scale,
        Self::Login,
        Self::Feed,
        Self::SignOut,
        Self::Storm,
        Self::Sweep,
        Self::Memory,
    ];

    pub fn run(self, bench: &Bench) -> Result<Outcome> {
        match self {
            Self::Validation => validation::run(bench),
            Self::Statements => statements::run(bench),
            Self::Scale => scale::run(bench),
            Self::Login => login::run(bench),
            Self::Feed => feed::run(bench),
            Self::SignOut => sign_out::run(bench),
            Self::Storm => storm::run(bench),
            Self::Sweep => sweep::run(bench),
            Self::Memory => memory::run(bench),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Statements => "statements",
            Self::Scale => "scale",
            Self::Login => "login",
            Self::Feed => "feed",
            Self::SignOut => "sign-out",
            Self::Storm => "storm",
            Self::Sweep => "sweep",
            Self::Memory => "memory",
        }
    }
}

/// After a load of sign-ins: passwords are hashed even if no client waits for the answer any more.
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
                headers: seeded.headers(bench)?,
            },
            connections: bench.options.connections,
            seconds: bench.options.seconds(),
            may_be_busy: false,
        },
    })
}
