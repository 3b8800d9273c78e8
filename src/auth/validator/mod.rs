//! Finds the live session of a token.
//!
//! A "yes" may come from memory, while it is younger than the time that every end waits before it is
//! acknowledged (law 2); see [`crate::sessions::memory`]. Everything else comes from a query that began after
//! the question was asked, in which PostgreSQL decides by its own clock whether the session still lives (law
//! 3).
//!
//! Batches make it fast: a few threads each take all waiting questions and ask the database once. An idle
//! server has batches of one, without delay; the busier it is, the fewer statements a question costs.

mod batch;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{Auth, Error};
use crate::config::SessionPolicy;
use crate::db::Database;
use crate::moment::Moment;
use crate::sessions::Session;
use crate::sessions::memory::Memory;
use crate::token::{Token, TokenDigest};
use crate::users::User;
use crate::worker_pool::{Full, WorkerPool};
use batch::{Answer, Question, Reply, RowHeld, ValidationWorker};

/// The most questions that may wait: some tenths of a second of work.
const QUEUE: usize = 4_096;

/// The longest wait for an answer, whatever the database does.
const DEADLINE: Duration = Duration::from_secs(8);

/// How often to ask about an expired session whose row another transaction has locked, in most cases to write
/// the same end. Each pause is twice as long as the one before.
const QUESTIONS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// Whether a request counts as activity of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The user acted.
    Active,
    /// The page polled by itself: this never extends a session.
    Passive,
}

/// A live session and its user.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The live session.
    pub session: Arc<Session>,
    /// The user.
    pub user: Arc<User>,
    /// PostgreSQL's time of the check.
    pub checked_at: DateTime<Utc>,
}

/// The memory of live sessions and their users.
pub type SeatMemory = Memory<(Arc<Session>, Arc<User>)>;

/// How many validations were answered, and from where.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) from_memory: AtomicU64,
    pub(super) by_database: AtomicU64,
}

impl Auth {
    /// The seat of a token.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] with the reason, for as long as it is kept; [`Error::TokenInvalid`];
    /// [`Error::Unavailable`].
    pub async fn validate(&self, token: &Token, activity: Activity) -> Result<Seat, Error> {
        self.feed.note_validation();
        let digest = token.digest();
        if let Some((seat, now)) = self.validator.recall(&digest, activity) {
            if seat.session.ends_with_page {
                self.pages.heard(seat.session.id, now);
            }
            return Ok(seat);
        }
        let asked = Moment::now();
        let answer = self.validator.ask(digest, activity).await;
        // Do not report an end while another instance may still answer from memory that the session lives.
        match &answer {
            Err(Error::SessionEnded(ending)) => self.wait_out_leases_if_recent(ending.user).await?,
            // The token may have had a session that left no trace: plain SQL deleted it, or its end is past
            // the retention.
            Err(Error::TokenInvalid) => self.wait_out_leases().await?,
            Err(Error::Unavailable(_)) => self.readiness.forget(),
            Ok(seat) if seat.session.ends_with_page => self.pages.heard(seat.session.id, asked),
            _ => {}
        }
        answer
    }

    /// Does the session end at `expires_at` even if its user stays active?
    pub fn is_final(&self, seat: &Seat) -> bool {
        let Session {
            created_at,
            expires_at,
            ends_at,
            ..
        } = *seat.session;
        let lifetime = TimeDelta::from_std(self.policy.sessions.max_lifetime).unwrap_or(TimeDelta::MAX);
        let end = created_at.checked_add_signed(lifetime);
        end.into_iter().chain(ends_at).any(|end| expires_at >= end)
    }
}

/// The validating threads. Cheap to clone; they end with the last clone.
#[derive(Clone)]
pub struct Validator {
    pool: WorkerPool<Question>,
    memory: Arc<SeatMemory>,
    policy: SessionPolicy,
    pub(super) answered: Arc<Answered>,
}

impl Validator {
    /// Starts `threads` threads, each with its own connection.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        db: &Database,
        threads: usize,
        memory: Arc<SeatMemory>,
        policy: SessionPolicy,
    ) -> io::Result<Self> {
        let (db, kept) = (db.clone(), memory.clone());
        let make_worker = move || ValidationWorker {
            connection: db.pin(),
            memory: kept.clone(),
            policy,
        };
        Ok(Self {
            pool: WorkerPool::start("validator", threads, QUEUE, make_worker)?,
            memory,
            policy,
            answered: Arc::default(),
        })
    }

    /// The seat of this token from memory. `None` if PostgreSQL has to be asked, or activity has to be
    /// written. Also returns the moment of the look-up: reading the clocks again would cost as much as all
    /// other work for a page.
    fn recall(&self, digest: &TokenDigest, activity: Activity) -> Option<(Seat, Moment)> {
        let ((session, user), time) = self.memory.recall(digest)?;
        let idle = (time.latest - session.last_activity).to_std().unwrap_or_default();
        // `last_activity` in the future: the clock has stepped back.
        let is_due = idle >= self.policy.activity_threshold || session.last_activity > time.earliest;
        if session.expires_at <= time.latest || is_due && activity == Activity::Active {
            return None;
        }
        self.answered.from_memory.fetch_add(1, Ordering::Relaxed);
        let seat = Seat {
            session,
            user,
            checked_at: time.latest,
        };
        Some((seat, time.at))
    }

    /// The number of questions that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// Asks the threads, and asks again if the row is locked. A thread itself never waits for a row lock,
    /// because all other questions would wait with it.
    async fn ask(&self, digest: TokenDigest, activity: Activity) -> Answer {
        self.answered.by_database.fetch_add(1, Ordering::Relaxed);
        let asked = async {
            for n in 0..QUESTIONS {
                match self.ask_once(digest, activity).await? {
                    Ok(answer) => return answer,
                    Err(RowHeld) => sleep(FIRST_PAUSE * 2_u32.pow(n)).await,
                }
            }
            Err(unavailable("the end of the session is not written yet"))
        };
        timeout(DEADLINE, asked)
            .await
            .map_err(|_| unavailable("no answer in time"))?
    }

    async fn ask_once(&self, digest: TokenDigest, activity: Activity) -> Result<Reply, Error> {
        let (reply, answer) = oneshot::channel();
        let question = Question {
            digest,
            activity,
            reply,
        };
        self.pool
            .submit(question)
            .map_err(|Full| unavailable("too many requests are waiting"))?;
        answer.await.map_err(|_| unavailable("the question was lost"))
    }
}

fn unavailable(why: &str) -> Error {
    Error::Unavailable(why.to_owned())
}
