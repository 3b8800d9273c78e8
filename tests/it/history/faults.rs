//! Real programs over a PostgreSQL of their own, and the faults that can happen to them.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oneseat::db::migrations;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use reqwest::Method;

use super::freeze::Frozen;
use super::instances::{PROGRAMS, assert_harmless, free_port, is_written_at, start};
use super::namespace::Namespace;
use super::sees_no_lockout;
use super::servers::{LastHour, Servers};
use super::world::{FAULTS, SOURCES, World, from};
use crate::support::{App, Database, Lost, Pooler, Program, Wire, eventually};

/// The faults that may happen while callers go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    ConnectionsCut,
    /// PostgreSQL is stopped cleanly, and started.
    DatabaseRestarted,
    /// PostgreSQL is stopped immediately, and recovers from its log.
    DatabaseCrashed,
    /// An instance is killed with SIGKILL, and started again with any lease.
    InstanceKilled,
    /// Nothing gets through between one instance and PostgreSQL, one way or both, and no connection is closed.
    NetworkCut,
    /// The clock of one instance's process jumps; the database's does not.
    ClockShifted,
    /// An instance is frozen, and thawed; or it is killed before that.
    InstanceFrozen,
    /// All of PostgreSQL's processes are frozen, and thawed.
    DatabaseFrozen,
    /// The primary dies, its standby is promoted, and the address of PostgreSQL leads there.
    StandbyPromoted,
}

impl Fault {
    pub const ALL: [Self; 9] = [
        Self::ConnectionsCut,
        Self::DatabaseRestarted,
        Self::DatabaseCrashed,
        Self::InstanceKilled,
        Self::NetworkCut,
        Self::ClockShifted,
        Self::InstanceFrozen,
        Self::DatabaseFrozen,
        Self::StandbyPromoted,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The clocks that an instance may have, in hours of difference from the machine's, and up to two seconds
/// more or less.
const CLOCKS: [i64; 4] = [0, 3, -24, 40 * 24];

/// The leases of an instance that is started again. With a lease of 0 no instance remembers, until the next
/// one starts.
const LEASES: [&str; 8] = ["200ms", "200ms", "200ms", "200ms", "50ms", "50ms", "50ms", "0"];

/// Everything that a fault can happen to. Fields are dropped in this order: the database last.
pub struct Stage {
    pub world: Arc<World>,
    programs: Vec<Option<Program>>,
    /// The wires from the instances to PostgreSQL.
    wires: Vec<Wire>,
    /// The network namespace of the first instance, if it has one.
    network: Option<Namespace>,
    /// The counts of validations, by source, that each instance reported when it was last asked.
    validations: Vec<[usize; SOURCES.len()]>,
    /// The lease that was set last.
    lease: &'static str,
    _operator: App,
    /// Between every instance and PostgreSQL, if `ONESEAT_PGBOUNCER` names one.
    _pooler: Option<Pooler>,
    servers: Servers,
    clock: PathBuf,
    /// What that file says.
    hours: i64,
}

impl Stage {
    /// With `namespace`, the first instance has a network of its own, where there can be one.
    pub async fn set(users: usize, namespace: bool) -> Self {
        let mut servers = Servers::start();
        migrations::run(servers.url()).unwrap();
        servers.add_standby().await;
        let clock = servers.dir().join("clock");
        fs::write(&clock, "+0\n").unwrap();
        let pooler = std::env::var_os("ONESEAT_PGBOUNCER")
            .map(|_| Pooler::start_in(servers.dir(), &servers.database(), "transaction", 20));
        let way = Database::at(pooler.as_ref().map_or(servers.url(), Pooler::url).to_owned());
        let operator = App::start_by_with(way.url(), &servers.database(), sees_no_lockout).await;
        let network = namespace.then(Namespace::new).flatten();
        let mut wires = PROGRAMS.map(|_| Wire::to(&way));
        if let Some(network) = &network {
            wires[0] = Wire::from(network.database().into(), &way);
        }
        let begin = |n: usize| start(&wires[n], network.as_ref(), &clock, n, PROGRAMS[n].1, free_port());
        let programs: Vec<_> = (0..PROGRAMS.len()).map(|n| Some(begin(n))).collect();
        let mut instances: Vec<_> = PROGRAMS
            .into_iter()
            .map(|(name, _)| name)
            .zip(programs.iter().flatten().map(|program| program.address))
            .collect();
        instances.push(("third", operator.address));
        let url = servers.url().to_owned();
        let world = World::new(operator.auth.clone(), url, instances, users).await;
        Self {
            world: Arc::new(world),
            programs,
            wires: wires.into(),
            network,
            validations: vec![[0; SOURCES.len()]; PROGRAMS.len()],
            lease: PROGRAMS[PROGRAMS.len() - 1].1,
            _operator: operator,
            _pooler: pooler,
            servers,
            clock,
            hours: 0,
        }
    }

    pub fn database(&self) -> Database {
        self.servers.database()
    }

    /// Causes the fault, checks that it happened, and repairs it. Nothing is frozen or cut for longer than
    /// `longest`.
    pub async fn suffer(&mut self, fault: Fault, longest: Duration, rng: &mut StdRng) {
        let pause = Duration::from_millis(rng.random_range(0..400));
        // Mostly short; otherwise nothing else would happen.
        let standstill = longest.mul_f64(rng.random_range(0.25..1.0_f64).powi(5));
        self.ask_for_counters().await;
        match fault {
            Fault::ConnectionsCut => cut_connections(&self.database()),
            Fault::DatabaseRestarted => {
                self.servers.stop();
                tokio::time::sleep(pause).await;
                self.servers.revive();
            }
            Fault::DatabaseCrashed => {
                self.servers.crash().await;
                self.servers.revive();
            }
            Fault::StandbyPromoted => {
                let last_hour = *[LastHour::Crash, LastHour::Stop].choose(rng).unwrap();
                self.servers.promote(last_hour, rng.random_bool(0.5), pause).await;
                self.servers.add_standby().await;
            }
            Fault::DatabaseFrozen => {
                let postmaster = u32::try_from(self.servers.postmaster().as_raw()).unwrap();
                Frozen::with_children(postmaster).for_a_while(standstill).await;
            }
            Fault::InstanceKilled => {
                let n = rng.random_range(0..PROGRAMS.len());
                self.kill_instance(n, pause, rng).await;
            }
            Fault::InstanceFrozen => {
                let n = rng.random_range(0..PROGRAMS.len());
                let program = self.programs[n].as_ref().unwrap();
                program.freeze();
                tokio::time::sleep(standstill).await;
                program.thaw();
                if rng.random_bool(0.2) {
                    self.kill_instance(n, pause, rng).await;
                }
            }
            Fault::NetworkCut => {
                let n = rng.random_range(0..PROGRAMS.len());
                // Mostly around the end of a session.
                let ending = self.world.ending.notified();
                let _ = tokio::time::timeout(pause, ending).await;
                tokio::time::sleep(pause / 8).await;
                if let Some(network) = self.network.as_ref().filter(|_| n == 0 && rng.random()) {
                    network.cut();
                    tokio::time::sleep(standstill).await;
                    network.mend();
                    self.world.count("link down");
                } else {
                    let ways = [Lost::Questions, Lost::Answers, Lost::Everything];
                    self.wires[n].cut(*ways.choose(rng).unwrap());
                    tokio::time::sleep(standstill).await;
                    self.wires[n].mend();
                }
            }
            Fault::ClockShifted => self.shift_clock(rng).await,
        }
        self.world.count(&fault.to_string());
        self.world.count(FAULTS);
    }

    /// How many validations the programs have answered since they were last asked, by source. If a program is
    /// killed, its counts since then are lost.
    pub async fn ask_for_counters(&mut self) {
        for (program, known) in self.programs.iter().flatten().zip(&mut self.validations) {
            let metrics = self.world.client.at(program.metrics_address.unwrap());
            let scrape = tokio::time::timeout(
                Duration::from_secs(2),
                metrics.request(Method::GET, "/metrics").send(),
            );
            // Another caller may have shut the connection.
            let text = match scrape.await {
                Ok(Ok(answer)) => answer.text().await.unwrap_or_default(),
                _ => String::new(),
            };
            for (source, known) in SOURCES.into_iter().zip(known) {
                let sample = format!("oneseat_validations_total{{source=\"{source}\"}} ");
                let count = text.lines().find_map(|line| line.strip_prefix(&sample));
                if let Some(count) = count.and_then(|count| count.parse::<usize>().ok()) {
                    self.world.add(&from(source), count.saturating_sub(*known));
                    *known = count;
                }
            }
        }
    }

    /// Does every validation ask PostgreSQL?
    pub fn nobody_remembers(&self) -> bool {
        self.lease == "0"
    }

    /// Starts the instance again, on the same port or another.
    async fn kill_instance(&mut self, n: usize, pause: Duration, rng: &mut StdRng) {
        let program = self.programs[n].take().unwrap();
        assert_harmless(&program.said());
        let port = program.address.port();
        program.kill();
        tokio::time::sleep(pause).await;
        let port = if rng.random_bool(0.5) { port } else { free_port() };
        let lease = loop {
            let lease = *LEASES.choose(rng).unwrap();
            if lease != self.lease {
                break lease;
            }
        };
        let program = start(&self.wires[n], self.network.as_ref(), &self.clock, n, lease, port);
        self.lease = lease;
        self.validations[n] = [0; SOURCES.len()];
        self.world.count(&format!("lease of {lease}"));
        self.world.has_moved(n, program.address);
        self.programs[n] = Some(program);
    }

    async fn shift_clock(&mut self, rng: &mut StdRng) {
        let others: Vec<i64> = CLOCKS.into_iter().filter(|hours| *hours != self.hours).collect();
        self.hours = *others.choose(rng).unwrap();
        let seconds = self.hours as f64 * 3_600.0 + rng.random_range(-2.0..2.0);
        fs::write(&self.clock, format!("{seconds:+.3}s\n")).unwrap();
        let shifted = self.programs.last().unwrap().as_ref().unwrap();
        eventually("the log is written by the other clock", async || {
            let said = shifted.said();
            assert_harmless(&said);
            said.iter().any(|line| is_written_at(line, self.hours))
        })
        .await;
    }

    /// Stops the programs cleanly.
    pub fn strike(&mut self) {
        for program in self.programs.iter_mut().filter_map(Option::take) {
            let (stopped, log) = program.terminate();
            assert!(stopped, "{log:#?}");
            assert_harmless(&log);
        }
    }
}

/// Every third connection to the database, whosever it is.
pub fn cut_connections(database: &Database) {
    database.number(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and random() < 0.33",
    );
}
