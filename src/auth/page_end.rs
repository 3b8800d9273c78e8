//! Ends a session that ends with its page when the page is gone and could not say so: the browser was killed,
//! the machine lost its power, or the page was left before it knew that it was signed in.
//!
//! When a browser dies, the operating system closes its connections, as long as the machine runs. So a stream
//! that the other side closes means that the page may be gone; it then has some time to come back. Ending a
//! session wrongly does more harm than ending it late: docs/decisions/0014 says which closed streams do not
//! count, and which cases remain.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::audit::{self, Actor};
use super::{Auth, Error};
use crate::moment::Moment;
use crate::sessions::page_marks;
use crate::sessions::pages::{LastHeard, PageStream};

/// The longest pause between two steps.
const LONGEST_INTERVAL: Duration = Duration::from_secs(2);
/// The most sessions that one statement ends, and the most pages that one statement asks for.
const BATCH: i64 = 1_000;
const AT_ONCE: usize = 10_000;

impl Auth {
    /// Registers an event stream of the session's page, and the proxy that it came through, if any. This
    /// shows that the page is there.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn open_page_stream(
        &self,
        session: Uuid,
        proxy: Option<LastHeard>,
    ) -> Result<PageStream, Error> {
        // Register it here first: while it is, no mark of another instance counts. Write it even if this
        // instance has no grace: another one may have one, for example while a setting is changed.
        let stream = self.pages.open_stream(session, proxy);
        let id = stream.id();
        self.query(move |conn| page_marks::stream_opened(conn, session, id))
            .await?;
        Ok(stream)
    }

    /// Notes that the page of the session may be about to go: it asked its user, or began to load something
    /// else. Its session ends if its stream closes now.
    pub fn page_is_leaving(&self, session: Uuid) {
        self.pages.leaving(session);
    }
}

/// Ends sessions whose pages are gone, step by step.
pub struct LostPages {
    auth: Auth,
    grace: Duration,
    /// When the steps last began to run without a pause, and when the last step was done.
    steady: Mutex<Option<(Moment, Moment)>>,
}

impl LostPages {
    /// Ends a session when its page has been gone for `grace`.
    pub fn new(auth: Auth, grace: Duration) -> Self {
        Self {
            auth,
            grace,
            steady: Mutex::new(None),
        }
    }

    /// The pause between two steps.
    pub fn interval(grace: Duration) -> Duration {
        (grace / 6).min(LONGEST_INTERVAL)
    }

    /// Tells the other instances what this one knows, and ends the sessions that are due. Returns how many it
    /// ended. Several instances may do so at once.
    ///
    /// Nothing is due after a pause, such as an outage of the database or of this server: pages cannot come
    /// back during an outage either, and their grace begins again when it is over. Each instance tells what
    /// it knows within two intervals, so a session ends two intervals after its grace.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn step(&self) -> Result<usize, Error> {
        let (auth, interval) = (&self.auth, Self::interval(self.grace));
        let grace = self.grace + 2 * interval;
        auth.tell_of_pages().await?;
        let left = auth.end_left(2 * interval).await?;
        if self.steady_for(interval) < grace {
            return Ok(left);
        }
        let policy = auth.policy.sessions;
        auth.query(move |conn| page_marks::keep_others(conn, grace, BATCH))
            .await?;
        let end = auth.run(move |conn| {
            let ended = page_marks::end_lost(conn, grace, BATCH, &policy)?;
            audit::ended(&ended, Actor::Time);
            Ok(ended.len())
        });
        Ok(left + end.await?)
    }

    /// How long the steps have run without a pause.
    fn steady_for(&self, interval: Duration) -> Duration {
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Moment::now();
        let since = match *steady {
            Some((since, last)) if now.since(last) < 4 * interval => since,
            _ => now,
        };
        *steady = Some((since, now));
        now.since(since)
    }
}

impl Auth {
    /// Ends the sessions whose pages said that they may be about to go, and went.
    async fn end_left(&self, grace: Duration) -> Result<usize, Error> {
        let (left, policy) = (self.pages.left(), self.policy.sessions);
        if left.is_empty() {
            return Ok(0);
        }
        self.run(move |conn| {
            let ended = page_marks::end_left(conn, &left, grace, &policy)?;
            audit::ended(&ended, Actor::Own);
            Ok(ended.len())
        })
        .await
    }

    /// Writes down the streams that were lost here, and what is known here of pages that may be gone.
    async fn tell_of_pages(&self) -> Result<(), Error> {
        let lost = self.pages.take_lost();
        let written = if lost.is_empty() {
            Ok(0)
        } else {
            let lost = lost.clone();
            self.query(move |conn| page_marks::streams_lost(conn, &lost))
                .await
        };
        if written.is_err() {
            self.pages.give_back(lost);
        }
        written?;
        self.tell_of_lost().await?;
        self.pages.forget_silent();
        Ok(())
    }

    /// Writes down what is known here of each page that may be gone. It writes this for all such pages,
    /// because another instance may end any of their sessions.
    async fn tell_of_lost(&self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let lost = self
                .query(move |conn| page_marks::lost(conn, after, AT_ONCE))
                .await?;
            let next = lost.last().copied().filter(|_| lost.len() >= AT_ONCE);
            let known: Vec<_> = lost
                .into_iter()
                .filter_map(|(_, session)| Some((session, self.pages.of(session)?)))
                .collect();
            if !known.is_empty() {
                self.query(move |conn| page_marks::heard(conn, &known)).await?;
            }
            match next {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }
}
