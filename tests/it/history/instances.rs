//! Instances that run as programs, and what their logs may contain.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use super::namespace::Namespace;
use crate::support::{PASSWORD, Program, Wire, libfaketime};

/// The names and leases of the instances. The clock of the last one jumps.
pub const PROGRAMS: [(&str, &str); 2] = [("first", "200ms"), ("second", "50ms")];

/// Starts the instance with this index; the first in a network namespace, if there is one.
pub fn start(
    wire: &Wire,
    network: Option<&Namespace>,
    clock: &Path,
    n: usize,
    lease: &str,
    port: u16,
) -> Program {
    let network = network.filter(|_| n == 0);
    let ours = |address: fn(&Namespace) -> Ipv4Addr| network.map_or(Ipv4Addr::LOCALHOST, address);
    let (inside, outside) = (ours(Namespace::inside), ours(Namespace::outside));
    let (database, bind) = (wire.database(), format!("{inside}:{port}"));
    let (metrics, proxies) = (format!("{inside}:0"), format!("{outside}/32"));
    let args = [
        ["--database-url", database.url()],
        ["--validation-lease", lease],
        ["--metrics-bind", &metrics],
        ["--bind", &bind],
        ["--max-failed-attempts", "100"],
        ["--trusted-proxies", &proxies],
        ["--login-rate", "off"],
        // Sweeps often, so that a sweep overlaps with everything else.
        ["--sweep-interval", "1s"],
    ]
    .concat();
    let mut environment = Vec::new();
    if n == PROGRAMS.len() - 1 {
        environment = vec![
            ("LD_PRELOAD", libfaketime()),
            ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap().to_owned()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            // The monotonic clock never jumps, even if the machine's time is changed.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
    }
    match network {
        Some(network) => Program::serve_in(network.name(), &args),
        None => Program::serve_with(&args, &environment),
    }
}

/// A port outside the range from which the system assigns ports: no other process gets it while the instance
/// is down.
pub fn free_port() -> u16 {
    let port = || rand::rng().random_range(20_000..30_000);
    std::iter::repeat_with(port)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// Does the time of that log line differ from ours by so many hours?
pub fn is_written_at(line: &str, hours: i64) -> bool {
    let time = line.strip_prefix('[').and_then(|line| line.split(' ').next());
    time.and_then(|time| time.parse::<DateTime<Utc>>().ok())
        .is_some_and(|time| (time - Utc::now() - TimeDelta::hours(hours)).abs() < TimeDelta::hours(1))
}

/// The log has no panic and no secret: nothing that could be a token.
pub fn assert_harmless(log: &[String]) {
    for line in log {
        let longest_hex = line.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max();
        let is_harmless = !line.contains("panic") && !line.contains(PASSWORD) && longest_hex < Some(64);
        assert!(is_harmless, "{line}");
    }
}
