//! Does a storm of sign-ins starve validation?

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use super::{LULL, p99, rate, validation_of};
use crate::bench::{Bench, say};
use crate::host::{Host, Setup};
use crate::outcome::Outcome;
use crate::seed::VISITORS;
use crate::wrk::{Load, Requests};

const CONNECTIONS: u32 = 64;
/// More users than can sign in during one measurement.
const EACH: u64 = 5_000;
/// The storm begins before the measurement and ends after it.
const LEAD: Duration = Duration::from_secs(1);

const CALM: &str = "validation";
const STORM: &str = "validation in a login storm";

pub(super) fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let seeded = bench.own_sessions(bench.options.sessions())?;
    let host = Host::start(bench, &seeded, Setup::default())?;
    let calm = validation_of(bench, &host, &seeded, CALM)?;
    let stormy = validation_of(bench, &host, &seeded, STORM)?;
    calm.warm_up(bench)?;
    let (mut logins, mut busy) = (Vec::new(), 0);
    for round in 0..bench.options.rounds() {
        outcome.samples.push(calm.measure(bench, round)?);
        let storm = Load {
            address: host.addresses.oneseat,
            requests: Requests::Login {
                bodies: seeded.logins(&bench.cluster, u64::from(round) * EACH % VISITORS, EACH)?,
            },
            connections: CONNECTIONS,
            seconds: bench.options.seconds() + 2,
            may_be_busy: true,
        };
        let storm = storm.start(bench, "storm")?;
        sleep(LEAD);
        outcome.samples.push(stormy.measure(bench, round)?);
        let counted = storm.finish()?;
        sleep(LULL);
        say(format_args!(
            "round {}: {:.0} sign-ins/s in the storm, {} answered 503",
            round + 1,
            counted.rate(),
            counted.busy
        ));
        logins.push(counted.rate());
        busy += counted.busy;
    }
    let ratios = outcome.ratios(STORM, CALM, p99);
    outcome.figure(
        "storm.p99",
        "validation p99: in a login storm / without",
        "",
        ratios,
    );
    let ratios = outcome.ratios(STORM, CALM, |sample| sample.p50_microseconds as f64);
    outcome.figure(
        "storm.p50",
        "validation p50: in a login storm / without",
        "",
        ratios,
    );
    let ratios = outcome.ratios(STORM, CALM, rate);
    outcome.figure(
        "storm.rate",
        "validations: in a login storm / without",
        "",
        ratios,
    );
    outcome.figure("storm.logins", "sign-ins in the storm", "/s", logins);
    outcome.notes.push(format!(
        "{CONNECTIONS} connections sign distinct users in without a pause; {busy} of their requests were answered 503. The processor \
         time of a validation in the storm holds that of the sign-ins."
    ));
    Ok(outcome)
}
