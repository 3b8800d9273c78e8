//! One measurement: load on a server, and the processor time that it and PostgreSQL take for it.

use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, say};
use crate::cluster::Cluster;
use crate::outcome::Sample;
use crate::proc::processor_time;
use crate::wrk::Load;

/// A server under test and its requests.
pub struct Subject {
    pub name: String,
    /// The ancestor of all its processes.
    pub server: u32,
    pub load: Load,
}

/// The result of a load.
pub struct Work {
    pub requests: u64,
    pub rate: f64,
    pub p50: u64,
    pub p99: u64,
}

impl Subject {
    pub fn measure(&self, bench: &Bench, round: u32) -> Result<Sample> {
        sampled(&bench.cluster, &self.name, round, Some(self.server), || {
            let counted = self.load.run(bench, "load")?;
            Ok(Work {
                requests: counted.requests,
                rate: counted.rate(),
                p50: counted.p50,
                p99: counted.p99,
            })
        })
    }

    /// A second of the load, to warm up caches, pools and compilers.
    pub fn warm_up(&self, bench: &Bench) -> Result<()> {
        self.warm_up_for(bench, 1)
    }

    pub fn warm_up_for(&self, bench: &Bench, seconds: u32) -> Result<()> {
        let load = Load {
            seconds,
            ..self.load.clone()
        };
        load.run(bench, "warm-up").map(|_| ())
    }
}

/// Does the work, and adds the processor time.
pub fn sampled(
    cluster: &Cluster,
    subject: &str,
    round: u32,
    server: Option<u32>,
    work: impl FnOnce() -> Result<Work>,
) -> Result<Sample> {
    let postmaster = cluster.postmaster()?;
    let used = || -> Result<_> {
        Ok((
            server.map(processor_time).transpose()?,
            processor_time(postmaster)?,
        ))
    };
    let (server_before, database_before) = used()?;
    let work = work()?;
    let (server_after, database_after) = used()?;
    let each = |span: Duration| span.as_secs_f64() * 1e6 / work.requests as f64;
    let sample = Sample {
        subject: subject.to_owned(),
        round,
        requests: work.requests,
        requests_per_second: work.rate,
        p50_microseconds: work.p50,
        p99_microseconds: work.p99,
        server_microseconds: server_after
            .zip(server_before)
            .map(|(after, before)| each(after.saturating_sub(before))),
        database_microseconds: Some(each(database_after.saturating_sub(database_before))),
    };
    say(format_args!(
        "round {}: {subject}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, processor {:.0} us each",
        round + 1,
        sample.requests_per_second,
        sample.p50_microseconds as f64 / 1e3,
        sample.p99_microseconds as f64 / 1e3,
        sample.processor_microseconds().unwrap_or_default(),
    ));
    Ok(sample)
}
