//! The laws as one sentence: whatever many people do at many instances at the same time, each of them sees what they would see
//! if everything had been done at one place, one after the other.
//!
//! People do random things to a few seats; every call's start, end and outcome is written down; afterwards the history of each
//! seat is checked for linearisability. An answer that did not come counts as unknown: it may have been done, then or later.
//!
//! `ONESEAT_SEED` repeats the choices of an earlier run (not its timing); `ONESEAT_SOAK` is the length in seconds of the run with
//! faults, see `script/soak`.

mod acts;
mod checker;
mod faults;
mod freeze;
mod line;
mod people;
mod planted;
mod seat;
mod verdict;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use oneseat::config::ServeConfig;
use oneseat::sessions::EndReason;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use crate::support::{App, Database};
use faults::{Fault, Stage, cut_connections};
use people::Person;
use world::World;

/// Seats to fight over, and people who fight over each.
const USERS: usize = 5;
const RIVALS: usize = 3;

/// Between two acts of one person, on average: leaves a small machine some time for other tests.
const PAUSE: Duration = Duration::from_millis(40);
/// The same where there are no other tests.
const SHORT_PAUSE: Duration = Duration::from_millis(10);

/// Processes that are frozen stand still for at most so long; in a long run longer than every deadline of the server, and shorter
/// than that of the callers.
const STANDSTILL: Duration = Duration::from_secs(1);
const LONG_STANDSTILL: Duration = Duration::from_secs(11);

/// How much longer a run may take until everything has been seen that it is there to see.
const TIMEOUT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_that_lose_connections_are_one() {
    let database = Database::fresh();
    let first = App::start_on_with(Database::at(database.url().to_owned()), sees_no_lockout).await;
    let second = App::start_on_with(Database::at(database.url().to_owned()), sees_no_lockout).await;
    let instances = vec![("first", first.address), ("second", second.address)];
    let url = database.url().to_owned();
    let world = Arc::new(World::new(first.auth.clone(), url, instances, USERS).await);
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let crowd = Crowd::gather(&world, seed, PAUSE, &[]);
    while crowd.goes_on(Duration::from_secs(5)) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..500))).await;
        cut_connections(&database);
    }
    crowd.leave().await;
    verdict::pronounce(&world, &database);
    assert_eq!(missing(&world, &[]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_are_killed_over_a_database_that_fails_are_one() {
    let soak = std::env::var("ONESEAT_SOAK").ok();
    let (pause, standstill) = match soak {
        Some(_) => (SHORT_PAUSE, LONG_STANDSTILL),
        None => (PAUSE, STANDSTILL),
    };
    let length = soak.map_or(10, |seconds| seconds.parse().expect("ONESEAT_SOAK is in seconds"));
    let mut stage = Stage::set(USERS).await;
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    // Each once, and then any.
    let mut faults = Fault::ALL.to_vec();
    faults.shuffle(&mut rng);
    let crowd = Crowd::gather(&stage.world, seed, pause, &Fault::ALL);
    let mut reported = Instant::now();
    while crowd.goes_on(Duration::from_secs(length)) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..1_000))).await;
        let fault = faults.pop().or_else(|| Fault::ALL.choose(&mut rng).copied());
        stage.suffer(fault.unwrap(), standstill, &mut rng).await;
        if reported.elapsed() > Duration::from_secs(5) {
            println!("{}", stage.world.progress());
            reported = Instant::now();
        }
    }
    crowd.leave().await;
    stage.strike();
    verdict::pronounce(&stage.world, &stage.database());
    assert_eq!(missing(&stage.world, &Fault::ALL), [""; 0]);
}

/// With five wrong passwords to a lock, and none lifted in time, most people would do nothing but look at it. Locks have tests
/// of their own.
fn sees_no_lockout(config: &mut ServeConfig) {
    config.policy.lockout.max_failed_attempts = 100;
    config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
}

fn seed() -> u64 {
    let given = std::env::var("ONESEAT_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| {
        seed.parse().expect("ONESEAT_SEED is a number")
    });
    println!("ONESEAT_SEED={seed}");
    seed
}

/// Everybody of one run.
struct Crowd {
    world: Arc<World>,
    people: Vec<JoinHandle<()>>,
    faults: &'static [Fault],
    began: Instant,
}

impl Crowd {
    /// They stay until each of these faults has happened, too.
    fn gather(world: &Arc<World>, seed: u64, pause: Duration, faults: &'static [Fault]) -> Self {
        let people = (0..USERS * RIVALS).map(|number| {
            let person = Person::new(world.clone(), number % USERS, number, seed);
            tokio::spawn(person.live(pause))
        });
        Self {
            world: world.clone(),
            people: people.collect(),
            faults,
            began: Instant::now(),
        }
    }

    /// Until the time is over and everything has been seen, or somebody has found a fault.
    fn goes_on(&self, length: Duration) -> bool {
        let elapsed = self.began.elapsed();
        let is_fine = self.people.iter().all(|person| !person.is_finished());
        let is_enough = elapsed > length && missing(&self.world, self.faults).is_empty();
        is_fine && !is_enough && elapsed < length + TIMEOUT
    }

    /// Everybody finishes what they do.
    async fn leave(self) {
        self.world.end();
        for person in self.people {
            person.await.unwrap();
        }
        println!("{}", self.world.progress());
    }
}

/// What has not happened often enough to be called tested.
fn missing(world: &World, faults: &[Fault]) -> Vec<String> {
    let reasons = EndReason::ALL.map(|reason| (reason.as_str(), 1));
    let others = [
        ("signed in", 50),
        ("accepted", 100),
        ("changes", 50),
        ("wrong password", 5),
        ("refused as disabled", 1),
        ("none to end", 5),
        ("unanswered", 5),
    ];
    let named = reasons.into_iter().chain(others);
    let named = named.map(|(what, often)| (what.to_owned(), often));
    let faults = faults.iter().map(|fault| (fault.to_string(), 1));
    named
        .chain(faults)
        .filter(|(what, often)| world.counted(what) < *often)
        .map(|(what, _)| what)
        .collect()
}
