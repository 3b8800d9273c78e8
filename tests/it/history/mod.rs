//! The laws as one sentence: whatever many callers do at many instances at the same time, each of them sees
//! what they would see if all calls were made at one place, one after the other.
//!
//! Callers do random things to a few seats, and the start, end and outcome of every call is recorded.
//! Afterwards the history of each seat is checked for linearisability. If an answer did not come, the call
//! may have been done, at any time, or not at all.
//!
//! `ONESEAT_SEED` repeats the choices of an earlier run (not its timing); `ONESEAT_SOAK` is the length in seconds of the run with
//! faults, `ONESEAT_SOAK_OPERATIONS` its length in calls, see `script/soak`.

mod acts;
mod checker;
mod cluster;
mod faults;
mod freeze;
mod instances;
mod line;
mod namespace;
mod people;
mod planted;
mod promoted;
mod sabotage;
mod seat;
mod servers;
mod standby;
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

/// How many callers take part in a run, and how fast they act.
#[derive(Clone, Copy)]
struct Size {
    /// Seats to fight over.
    users: usize,
    /// Callers who compete for each seat.
    rivals: usize,
    /// Callers who only watch it.
    watchers: usize,
    /// The average pause between two calls of one caller.
    pause: Duration,
    /// The pause between two looks of a watcher.
    blink: Duration,
    /// The longest time for which something is frozen or cut off.
    standstill: Duration,
    /// The share of validations that must come from memory, so that the run tests memory at all.
    least_from_memory: f64,
}

impl Size {
    /// For the ordinary tests: leaves a small machine time for others.
    const SMALL: Self = Self {
        users: 5,
        rivals: 3,
        watchers: 3,
        pause: Duration::from_millis(40),
        blink: Duration::from_millis(20),
        standstill: Duration::from_secs(1),
        // A few seconds with each fault once: too short to demand a share.
        least_from_memory: 0.0,
    };
    /// For runs without other tests. Standstills are longer than every deadline of the server, and shorter
    /// than the deadline of the callers.
    const LARGE: Self = Self {
        users: 10,
        rivals: 4,
        watchers: 3,
        pause: Duration::from_millis(30),
        blink: Duration::from_millis(5),
        standstill: Duration::from_secs(11),
        least_from_memory: 0.2,
    };
}

/// How much longer a run may take until every outcome that it must produce has occurred.
const TIMEOUT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_that_lose_connections_are_one() {
    let database = Database::fresh();
    let first = App::start_on_with(Database::at(database.url().to_owned()), sees_no_lockout).await;
    let second = App::start_on_with(Database::at(database.url().to_owned()), sees_no_lockout).await;
    let instances = vec![("first", first.address), ("second", second.address)];
    let url = database.url().to_owned();
    let size = Size::SMALL;
    let world = Arc::new(World::new(first.auth.clone(), url, instances, size.users).await);
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let crowd = Crowd::gather(&world, seed, size, &[]);
    while crowd.goes_on(Length::Time(Duration::from_secs(5))) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..500))).await;
        cut_connections(&database);
    }
    crowd.leave().await;
    verdict::pronounce(&world, &database);
    assert_eq!(missing(&world, &[]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_are_killed_over_a_database_that_fails_are_one() {
    let told = Length::told();
    let (size, length) = match told {
        Some(length) => (Size::LARGE, length),
        None => (Size::SMALL, Length::Time(Duration::from_secs(10))),
    };
    let mut stage = Stage::set(size.users, told.is_some()).await;
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    // Each once, and then any.
    let mut faults = Fault::ALL.to_vec();
    faults.shuffle(&mut rng);
    let crowd = Crowd::gather(&stage.world, seed, size, &Fault::ALL);
    let mut reported = Instant::now();
    while crowd.goes_on(length) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..1_000))).await;
        let fault = match faults.pop() {
            Some(fault) => fault,
            // Not for too long.
            None if stage.nobody_remembers() && rng.random_bool(0.3) => Fault::InstanceKilled,
            None => *Fault::ALL.choose(&mut rng).unwrap(),
        };
        stage.suffer(fault, size.standstill, &mut rng).await;
        if reported.elapsed() > Duration::from_secs(5) {
            println!("{}", stage.world.progress());
            reported = Instant::now();
        }
    }
    stage.ask_for_counters().await;
    crowd.leave().await;
    stage.strike();
    verdict::pronounce(&stage.world, &stage.database());
    assert_eq!(missing(&stage.world, &Fault::ALL), [""; 0]);
    let share = stage.world.share_from_memory();
    assert!(
        share >= size.least_from_memory,
        "only {share:.2} came from memory"
    );
}

/// How long a run goes on.
#[derive(Clone, Copy)]
enum Length {
    Time(Duration),
    Operations(usize),
}

impl Length {
    /// The settings of `script/soak`.
    fn told() -> Option<Self> {
        let number = |name: &str| {
            let value = std::env::var(name).ok()?;
            Some(value.parse::<usize>().expect("ONESEAT_SOAK.. is a number"))
        };
        let operations = number("ONESEAT_SOAK_OPERATIONS").map(Self::Operations);
        operations
            .or_else(|| number("ONESEAT_SOAK").map(|seconds| Self::Time(Duration::from_secs(seconds as u64))))
    }
}

/// No lockout: with a lock after five wrong passwords, and no unlocking in time, most callers would do
/// nothing but meet the lock. Locks have tests of their own.
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

/// All callers of one run.
struct Crowd {
    world: Arc<World>,
    people: Vec<JoinHandle<()>>,
    faults: &'static [Fault],
    began: Instant,
}

impl Crowd {
    /// The run continues until each of these faults has happened, too.
    fn gather(world: &Arc<World>, seed: u64, size: Size, faults: &'static [Fault]) -> Self {
        let users = world.users.len();
        let people = (0..users * (size.rivals + size.watchers)).map(|number| {
            let person = Person::new(world.clone(), number % users, number, seed);
            if number < users * size.rivals {
                tokio::spawn(person.live(size.pause))
            } else {
                tokio::spawn(person.watch(number / users % world.instances(), size.blink))
            }
        });
        Self {
            world: world.clone(),
            people: people.collect(),
            faults,
            began: Instant::now(),
        }
    }

    /// Waits until the time is over and every outcome has occurred, or a caller has found a fault.
    fn goes_on(&self, length: Length) -> bool {
        let is_fine = self.people.iter().all(|person| !person.is_finished());
        let is_seen = || missing(&self.world, self.faults).is_empty();
        is_fine
            && match length {
                Length::Time(length) => {
                    let elapsed = self.began.elapsed();
                    elapsed <= length || elapsed < length + TIMEOUT && !is_seen()
                }
                Length::Operations(most) => self.world.operations() < most,
            }
    }

    /// Waits until all callers have finished.
    async fn leave(self) {
        self.world.end();
        for person in self.people {
            person.await.unwrap();
        }
        println!("{}", self.world.progress());
    }
}

/// The outcomes that have not occurred often enough for the run to count as a test of them.
fn missing(world: &World, faults: &[Fault]) -> Vec<String> {
    // No caller restores a backup.
    let reasons = EndReason::ALL
        .into_iter()
        .filter(|reason| *reason != EndReason::Restored);
    let reasons = reasons.map(|reason| (reason.as_str(), 1));
    let others = [
        ("signed in", 50),
        ("accepted", 100),
        ("changes", 50),
        ("wrong password", 5),
        ("refused as disabled", 1),
        ("none to end", 5),
        ("token_invalid", 1),
        ("unanswered", 5),
    ];
    let named = reasons.chain(others);
    let named = named.map(|(what, often)| (what.to_owned(), often));
    let faults = faults.iter().map(|fault| (fault.to_string(), 1));
    named
        .chain(faults)
        .filter(|(what, often)| world.counted(what) < *often)
        .map(|(what, _)| what)
        .collect()
}
