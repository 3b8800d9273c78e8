//! The thread that reads the feed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Receiver;
use metrics::counter;
use tokio::sync::watch;
use uuid::Uuid;

use super::round::{FeedListener, Round};
use super::table::{self, Answer, Cursor};
use super::{Demand, LastRound, LeaseSetting};
use crate::config::SessionPolicy;
use crate::db::{BoundedConnection, PgConnection, Unavailable};
use crate::moment::Moment;
use crate::sessions::store::{self, SessionStatus};
use crate::sessions::watchers::Watchers;

/// The pause between two questions while event streams are open: well within the second that a notice may
/// take.
const FOR_STREAMS: Duration = Duration::from_millis(250);
/// The shortest pause, however many ends wait.
const SHORTEST: Duration = Duration::from_millis(3);
/// The pause after a failure.
const RETRY: Duration = Duration::from_millis(250);
/// The longest wait for an answer of PostgreSQL.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest wait for a connection. The URL may name several servers, and each may take a while.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);
/// After this time without a lease, the log has a warning.
const SOON: Duration = Duration::from_secs(10);
/// The age of a snapshot at which the rows that it has seen are deleted.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// The most sessions that one query looks at.
const LOOKED_AT_ONCE: usize = 1_000;

/// The metric of leases that ran out although validations came in, because the next answer of the feed came
/// too late.
pub const LEASES_LOST: &str = "oneseat_validation_leases_lost_total";

pub(super) struct Reader {
    connection: BoundedConnection,
    lease: LeaseSetting,
    memory: Arc<dyn FeedListener>,
    watchers: Watchers,
    demand: Arc<Demand>,
    rounds: watch::Sender<LastRound>,
    /// Whether the lease of this instance is written to the database.
    is_set: bool,
    cursor: Option<Cursor>,
    /// When the last lease was asked for, and its length.
    current: Option<(Moment, Duration)>,
    /// A longer lease that other instances may still use: the version of the change that shortened it, and
    /// when this reader first saw that version.
    previous: Option<(i64, Moment)>,
    /// The snapshot up to which rows are deleted when it is old enough, and when it was taken.
    oldest: Option<(String, Moment)>,
    /// When an answer was last reliable. `None` before the first such answer, and once the log has the
    /// warning.
    lease_missed_since: Option<Moment>,
}

impl Reader {
    pub(super) fn new(
        url: &str,
        lease: LeaseSetting,
        memory: Arc<dyn FeedListener>,
        watchers: Watchers,
        demand: Arc<Demand>,
        rounds: watch::Sender<LastRound>,
    ) -> Self {
        Self {
            connection: BoundedConnection::new(url, "feed connection"),
            lease,
            memory,
            watchers,
            demand,
            rounds,
            is_set: lease == LeaseSetting::AsSet,
            cursor: None,
            current: None,
            previous: None,
            oldest: None,
            lease_missed_since: None,
        }
    }

    /// Reads until it is told to stop.
    pub(super) fn read(mut self, woken: &Receiver<()>) {
        let mut asked = None;
        loop {
            self.rest(asked, woken);
            if self.demand.is_stopping.load(Ordering::SeqCst) {
                return;
            }
            let now = Moment::now();
            asked = Some(now);
            let answer = catch_unwind(AssertUnwindSafe(|| self.ask(now)));
            let answer = answer.unwrap_or_else(|_| Err(Unavailable::new(&"a panic")));
            let had_failed = self.demand.has_failed.swap(answer.is_err(), Ordering::Relaxed);
            if let Err(error) = answer {
                if !had_failed {
                    log::warn!("the feed of endings cannot be read: {error}");
                }
                self.cursor = None;
                let _ = woken.recv_timeout(RETRY);
            }
        }
    }

    /// Waits until it is time for the next question.
    fn rest(&self, asked: Option<Moment>, woken: &Receiver<()>) {
        if let Some(pause) = self.pause() {
            let _ = woken.recv_timeout(pause);
        } else {
            self.demand.is_idle.store(true, Ordering::SeqCst);
            if self.pause().is_none() && !self.demand.is_stopping.load(Ordering::SeqCst) {
                let _ = woken.recv();
            }
            self.demand.is_idle.store(false, Ordering::SeqCst);
        }
        if let Some(asked) = asked {
            std::thread::sleep(SHORTEST.saturating_sub(Moment::now().since(asked)));
        }
    }

    /// How long to wait before the next question. `None` if nobody needs one.
    fn pause(&self) -> Option<Duration> {
        // After a failure, no load balancer sends anybody here who would be a reason to read: so this goes on until it
        // is known that all is well.
        let has_failed = self.demand.has_failed.load(Ordering::Relaxed);
        if !self.is_set || has_failed || self.demand.waiting.load(Ordering::SeqCst) > 0 {
            return Some(Duration::ZERO);
        }
        let is_watched = self.watchers.count() > 0;
        match (self.lease, self.demand.is_warm()) {
            (LeaseSetting::Of(lease), true) => {
                let lease = self.current.map_or(lease, |(_, current)| current.min(lease));
                Some((lease / 4).min(FOR_STREAMS))
            }
            _ if is_watched => Some(FOR_STREAMS),
            _ => None,
        }
    }

    fn ask(&mut self, asked: Moment) -> Result<(), Unavailable> {
        if !self.connection.is_open() {
            // The rows of changes that happened without a connection may be deleted.
            self.cursor = None;
            self.connection.run(CONNECT_DEADLINE, |_| Ok(()))?;
        }
        if let (LeaseSetting::Of(lease), false) = (self.lease, self.is_set) {
            self.connection
                .run(DEADLINE, move |conn| table::set_lease(conn, lease))?;
            self.is_set = true;
        }
        let since = self.cursor.take();
        let read = move |conn: &mut PgConnection| table::read(conn, asked, since.as_ref());
        let mut answer = self.connection.run(DEADLINE, read)?;
        self.note(&mut answer);
        self.tell(&answer.round)?;
        self.purge(&answer)?;
        self.cursor = Some(answer.cursor());
        Ok(())
    }

    /// Tells the memory, with a lease no longer than this instance's own, and then the ends that wait for a
    /// round.
    fn note(&mut self, answer: &mut Answer) {
        let round = &mut answer.round;
        let own = match self.lease {
            LeaseSetting::Of(lease) => lease,
            LeaseSetting::AsSet => Duration::ZERO,
        };
        let lease = round.lease.map(|lease| lease.min(own));
        round.lease = lease.filter(|lease| !lease.is_zero());
        self.memory.hear(round);
        self.complain(round.is_reliable || own.is_zero());
        if let Some(lease) = round.lease {
            let now = Moment::now();
            if let Some((earlier, length)) = self.current.replace((round.asked, lease))
                && self.demand.is_warm()
                && !now.is_within(length, earlier)
            {
                counter!(LEASES_LOST).increment(1);
            }
        }
        self.rounds.send_replace(LastRound {
            asked: Some(answer.round.asked),
            wait: answer.wait,
        });
    }

    /// Logs a warning, once, if nothing could be kept in memory for [`SOON`].
    fn complain(&mut self, is_fine: bool) {
        let now = Moment::now();
        if is_fine {
            self.lease_missed_since = Some(now);
        } else if self
            .lease_missed_since
            .is_some_and(|since| now.since(since) > SOON)
        {
            self.lease_missed_since = None;
            log::warn!(
                "validations are not answered from memory: an earlier version of oneseat is connected to the database, \
                 a transaction that changes users or sessions is open for long, \
                 or a trigger `..._feed_...` of these tables is not enabled always"
            );
        }
    }

    /// Tells the event streams.
    fn tell(&mut self, round: &Round) -> Result<(), Unavailable> {
        let is_everybody = round.is_lost || round.named.contains(&Uuid::nil());
        let sessions = if is_everybody {
            self.watchers.watched()
        } else {
            self.watchers.watched_of(&round.named)
        };
        if is_everybody || !sessions.is_empty() {
            // This writes only some of the ends. The sweep writes the others, and the feed then names their
            // users. A failure here must not hold notices back.
            if let Err(error) = self
                .connection
                .run(DEADLINE, self.demand.for_streams.write_restored)
            {
                log::warn!("ends of restored sessions cannot be written: {error}");
            }
        }
        for sessions in sessions.chunks(LOOKED_AT_ONCE) {
            let sessions = sessions.to_vec();
            // Expiry is reported by the stream itself, which knows the time.
            let found = self.connection.run(DEADLINE, move |conn| {
                store::statuses(conn, &sessions, &SessionPolicy::AS_STORED)
            })?;
            for status in found.into_values() {
                if let SessionStatus::Ended(ending) = status {
                    self.watchers.tell(ending);
                }
            }
        }
        if is_everybody || !round.named.is_empty() {
            self.watchers.tell_named(&round.named);
            self.watchers.tell_change();
        }
        if round.is_lost {
            self.tell_admins()?;
        }
        Ok(())
    }

    /// Tells the streams of admins. Some of these users may have become admins unnoticed; if all streams were told, each of
    /// them would ask at the same time.
    fn tell_admins(&mut self) -> Result<(), Unavailable> {
        let admins_among = self.demand.for_streams.admins_among;
        for users in self.watchers.watched_users().chunks(LOOKED_AT_ONCE) {
            let users = users.to_vec();
            let admins = self
                .connection
                .run(DEADLINE, move |conn| admins_among(conn, &users))?;
            self.watchers.tell_named(&admins);
        }
        Ok(())
    }

    /// Deletes what nobody needs any more: the longer lease, and old rows of the feed.
    fn purge(&mut self, answer: &Answer) -> Result<(), Unavailable> {
        let now = Moment::now();
        match (answer.previous, self.previous) {
            (Some(version), Some((known, since))) if version == known => {
                if now.since(since) >= answer.wait {
                    self.connection
                        .run(DEADLINE, move |conn| table::forget_previous(conn, version))?;
                    self.previous = None;
                }
            }
            (version, _) => self.previous = version.map(|version| (version, now)),
        }
        let new = |answer: &Answer| Some((answer.snapshot.clone(), now));
        match self.oldest.take() {
            _ if answer.round.is_lost => self.oldest = new(answer),
            Some((snapshot, since)) if now.since(since) >= FORGET_AFTER => {
                let seen = snapshot.clone();
                let has_more = self
                    .connection
                    .run(DEADLINE, move |conn| table::purge(conn, &seen))?;
                self.oldest = if has_more {
                    Some((snapshot, since))
                } else {
                    new(answer)
                };
            }
            Some(oldest) => self.oldest = Some(oldest),
            None => self.oldest = new(answer),
        }
        Ok(())
    }
}
