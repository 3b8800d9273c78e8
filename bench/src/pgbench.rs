//! PostgreSQL alone: pgbench runs statements, prepared, on many connections.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench::Bench;
use crate::child::Child;
use crate::cluster::server_program;
use crate::seed::Seeded;

/// The share of transactions that are timed: timing all would add load.
const SAMPLED: &str = "0.05";
const GRACE: Duration = Duration::from_secs(40);

/// What pgbench counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    pub requests: u64,
    pub rate: f64,
    /// The median time of a transaction, in microseconds.
    pub p50: u64,
    /// The 99th percentile of the times, in microseconds.
    pub p99: u64,
}

/// Runs statements over and over. All times are of single transactions.
pub fn run(bench: &Bench, url: &str, statements: &str, clients: u32, seconds: u32) -> Result<Counted> {
    let script = bench.cluster.file("pgbench.sql");
    fs::write(&script, statements)?;
    let log = bench.cluster.file("pgbench-log");
    let mut pgbench = Command::new(server_program("pgbench"));
    pgbench
        .args(["--protocol=prepared", "--no-vacuum", "--jobs=2", "--log"])
        .arg(format!("--client={clients}"))
        .arg(format!("--time={seconds}"))
        .arg(format!("--sampling-rate={SAMPLED}"))
        .arg(format!("--log-prefix={}", log.display()))
        .arg(format!("--file={}", script.display()))
        .arg(url);
    let child = Child::start(bench, "pgbench", &mut pgbench)?;
    let pid = child.pid();
    let output = child.finish(Duration::from_secs(u64::from(seconds)) + GRACE)?;
    let (requests, rate) = parse_output(&output)?;
    let mut times = Vec::new();
    // One file for each of pgbench's threads.
    for path in [
        format!("{}.{pid}", log.display()),
        format!("{}.{pid}.1", log.display()),
    ] {
        times.extend(parse_log(
            &fs::read_to_string(&path).with_context(|| path.clone())?,
        ));
        fs::remove_file(path)?;
    }
    times.sort_unstable();
    let percentile = |percent: usize| times.get(times.len() * percent / 100).copied();
    Ok(Counted {
        requests,
        rate,
        p50: percentile(50).context("pgbench wrote no times")?,
        p99: percentile(99).context("pgbench wrote no times")?,
    })
}

/// A validation: the same join and columns as the program's.
pub fn validation(seeded: &Seeded) -> String {
    let (spacing, count) = seeded.asked();
    format!(
        "\\set user 1 + {spacing} * random(0, {})
select s.id, s.user_id, s.ip_address, s.user_agent, s.last_activity, s.expires_at, s.created_at,
       u.id, u.name, u.email, u.role, u.email_verified, u.disabled_at, u.created_at,
       now(), s.expires_at > now(), s.last_activity <= now() - interval '15 minutes'
from sessions s join users u on u.id = s.user_id
where s.token_digest = sha256(sha256(convert_to('bench' || :user::text, 'UTF8'))) and u.disabled_at is null;\n",
        count - 1
    )
}

/// Transactions, and transactions per second without the time to connect.
fn parse_output(output: &str) -> Result<(u64, f64)> {
    let after = |start: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(start));
        line.and_then(|rest| rest.split_whitespace().next())
    };
    // Since PostgreSQL 15; in earlier versions a failure ended the client.
    if after("number of failed transactions: ").is_some_and(|failed| failed != "0") {
        bail!("transactions failed in pgbench");
    }
    if output.contains(" aborted ") {
        bail!("a client of pgbench was aborted");
    }
    let requests = after("number of transactions actually processed: ").context("pgbench counted nothing")?;
    let rate = after("tps = ").context("pgbench told no rate")?;
    Ok((requests.parse()?, rate.parse()?))
}

/// The third column: microseconds.
fn parse_log(log: &str) -> impl Iterator<Item = u64> {
    log.lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "pgbench (15.18 (Debian 15.18-0+deb12u1))
transaction type: /tmp/validate.sql
scaling factor: 1
query mode: prepared
number of clients: 128
number of threads: 2
maximum number of tries: 1
duration: 5 s
number of transactions actually processed: 153211
number of failed transactions: 0 (0.000%)
latency average = 4.150 ms
initial connection time = 107.405 ms
tps = 30843.118272 (without initial connection time)
";

    #[test]
    fn the_output_is_read() {
        assert_eq!(parse_output(OUTPUT).unwrap(), (153_211, 30_843.118_272));
    }

    #[test]
    fn failures_are_errors() {
        assert!(parse_output(&OUTPUT.replace("transactions: 0", "transactions: 3")).is_err());
        assert!(parse_output("pgbench: error: connection failed").is_err());
    }

    #[test]
    fn the_log_tells_times() {
        let log = "0 19 4102 0 1700000000 123456\n5 20 3987 0 1700000000 123999\n";
        assert_eq!(parse_log(log).collect::<Vec<_>>(), [4102, 3987]);
    }
}
