//! The feed names users whose rights or sessions have changed. Each instance reads it for its memory and its
//! event streams.
//!
//! Triggers write it, in the transaction that makes the change. An instance reads it several times a lease
//! while validations come in, a few times a second while only event streams are open, and otherwise not at
//! all. A use case that ends a session calls [`Feed::wait_out_leases`] after the commit and before the
//! acknowledgement.

mod reader;
mod round;
mod table;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError, bounded};
use diesel::QueryResult;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::watchers::Watchers;
use crate::db::{PgConnection, Unavailable};
use crate::moment::Moment;
use reader::Reader;

pub use reader::LEASES_LOST;
pub use round::{FeedListener, Round};
pub(super) use table::NAMES_ITS_USER;
pub use table::{feed_server, name_user_sql, tell_lists, tell_lists_sql};

/// The longest wait for an answer of the feed.
const DEADLINE: Duration = Duration::from_secs(8);

/// The feed is read for the memory until this long after the last validation.
const WARM: Duration = Duration::from_secs(2);

/// What event streams need of tables other than those of sessions.
#[derive(Clone, Copy)]
pub struct ForStreams {
    /// Writes the ends of some sessions that a backup has brought back. Returns how many it wrote.
    pub write_restored: fn(&mut PgConnection) -> QueryResult<usize>,
    /// Finds the admins among these users.
    pub admins_among: fn(&mut PgConnection, &[Uuid]) -> QueryResult<Vec<Uuid>>,
}

/// How this process uses leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseSetting {
    /// It sets the lease of all instances, and answers from memory for no longer. If zero, it asks PostgreSQL
    /// each time.
    Of(Duration),
    /// It never answers from memory, and its ends wait for the lease that others have set: a command.
    AsSet,
}

/// The handle of a reader. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    demand: Arc<Demand>,
    rounds: watch::Receiver<LastRound>,
    memory: Arc<dyn FeedListener>,
}

/// Stops the reader when dropped.
pub struct RunningReader {
    demand: Arc<Demand>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// The result of the last round.
#[derive(Clone, Copy, Debug)]
struct LastRound {
    /// `None` before the first round.
    asked: Option<Moment>,
    wait: Duration,
}

/// The reasons to read the feed, as the handles tell them to the reader.
struct Demand {
    wake: Sender<()>,
    /// Whether the reader waits to be woken.
    is_idle: AtomicBool,
    is_stopping: AtomicBool,
    /// Whether the last question got no answer.
    has_failed: AtomicBool,
    /// The number of ends that wait for a round.
    waiting: AtomicUsize,
    /// When the last validation was, in milliseconds after `started`. 0: there was none.
    validated: AtomicU64,
    started: Instant,
    remembers: bool,
    for_streams: ForStreams,
}

impl Feed {
    /// Starts the reader, which reads while there is a reason to. It tells `memory` and `watchers` what it
    /// read. Before it tells `watchers` of sessions, it writes the ends of restored ones.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        url: &str,
        lease: LeaseSetting,
        memory: Arc<dyn FeedListener>,
        watchers: Watchers,
        for_streams: ForStreams,
    ) -> io::Result<(Self, RunningReader)> {
        let (wake, woken) = bounded(1);
        let demand = Arc::new(Demand {
            wake,
            is_idle: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            validated: AtomicU64::new(0),
            started: Instant::now(),
            remembers: matches!(lease, LeaseSetting::Of(lease) if !lease.is_zero()),
            for_streams,
        });
        let (sender, rounds) = watch::channel(LastRound {
            asked: None,
            wait: Duration::ZERO,
        });
        let reader = Reader::new(url, lease, memory.clone(), watchers, demand.clone(), sender);
        let thread = std::thread::Builder::new()
            .name("feed".to_owned())
            .spawn(move || reader.read(&woken))?;
        let feed = Self {
            demand: demand.clone(),
            rounds,
            memory,
        };
        let running = RunningReader {
            demand,
            thread: Some(thread),
        };
        Ok((feed, running))
    }

    /// Waits until no instance answers any more from what it remembered before the call. Call it after the
    /// commit of what ends a session, or demotes, renames or disables a user, and before that is
    /// acknowledged.
    ///
    /// # Errors
    /// The feed could not be read in time. What was committed stays; it may be acknowledged later.
    pub async fn wait_out_leases(&self) -> Result<(), Unavailable> {
        let committed = Moment::now();
        let round = self.round_after(committed).await?;
        sleep(round.wait.saturating_sub(Moment::now().since(committed))).await;
        Ok(())
    }

    /// Like [`wait_out_leases`](Self::wait_out_leases), for an end of this user's session that a query has
    /// found, and that may be old: then it waits for less time. Call it after the query has answered.
    ///
    /// # Errors
    /// Those of [`wait_out_leases`](Self::wait_out_leases).
    pub async fn wait_out_leases_if_recent(&self, user: Uuid) -> Result<(), Unavailable> {
        // This round names the user, if no earlier one has.
        let round = self.round_after(Moment::now()).await?;
        let known = Moment::now().since(self.memory.last_end(user));
        sleep(round.wait.saturating_sub(known)).await;
        Ok(())
    }

    /// If the last question got no answer, waits for one that does. Call it before a commit that could not be confirmed
    /// otherwise.
    ///
    /// # Errors
    /// The feed could not be read in time.
    pub async fn wait_until_read(&self) -> Result<(), Unavailable> {
        if self.has_failed() {
            self.round_after(Moment::now()).await?;
        }
        Ok(())
    }

    /// Notes that a token is being validated. From now on the feed is read for the memory.
    pub fn note_validation(&self) {
        let demand = &self.demand;
        if demand.remembers {
            let now = demand.clock();
            // Most of the time another request has just written it.
            if demand.validated.load(Ordering::Relaxed) + 100 < now {
                demand.validated.store(now, Ordering::SeqCst);
                if demand.is_idle.load(Ordering::SeqCst) {
                    demand.wake();
                }
            }
        }
    }

    /// Makes the reader read at once.
    pub fn wake(&self) {
        self.demand.wake();
    }

    /// Whether the last question got no answer. Then no end can be confirmed.
    pub fn has_failed(&self) -> bool {
        self.demand.has_failed.load(Ordering::Relaxed)
    }

    /// How long ago the last question was sent that got an answer. `None` before the first.
    pub fn age(&self) -> Option<Duration> {
        let asked = self.rounds.borrow().asked?;
        Some(Moment::now().since(asked))
    }

    /// A round whose question was sent after this moment.
    async fn round_after(&self, moment: Moment) -> Result<LastRound, Unavailable> {
        let _waiting = WaitingEnd::for_a_round(&self.demand);
        let mut rounds = self.rounds.clone();
        let round = rounds.wait_for(|round| round.asked.is_some_and(|asked| asked.is_from(moment)));
        match timeout(DEADLINE, round).await {
            Ok(Ok(round)) => Ok(*round),
            Ok(Err(_)) => Err(Unavailable::new(&"the feed is not read any more")),
            Err(_) => Err(Unavailable::new(&"the feed could not be read in time")),
        }
    }
}

/// Counts one caller that waits for a round, until it is dropped.
struct WaitingEnd<'a>(&'a Demand);

impl<'a> WaitingEnd<'a> {
    fn for_a_round(demand: &'a Demand) -> Self {
        demand.waiting.fetch_add(1, Ordering::SeqCst);
        demand.wake();
        Self(demand)
    }
}

impl Drop for WaitingEnd<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Demand {
    fn wake(&self) {
        // One message is enough, however many callers want to wake the reader.
        let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = self.wake.try_send(());
    }

    /// Milliseconds since the start, beginning at 1.
    fn clock(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Whether a token was validated less than [`WARM`] ago.
    fn is_warm(&self) -> bool {
        let validated = self.validated.load(Ordering::SeqCst);
        let warm = u64::try_from(WARM.as_millis()).unwrap_or(u64::MAX);
        validated > 0 && self.clock().saturating_sub(validated) < warm
    }
}

impl Drop for RunningReader {
    fn drop(&mut self) {
        self.demand.is_stopping.store(true, Ordering::SeqCst);
        self.demand.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
