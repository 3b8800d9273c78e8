//! Reports that a session ended.

use std::time::{Duration, Instant};

use metrics::histogram;
use tokio::time::timeout;
use uuid::Uuid;

use super::metrics::END_WAIT_SECONDS;
use super::unwritten_ends::settled_status;
use super::{Auth, Error};
use crate::db::primary;
use crate::sessions::Replacement;
use crate::sessions::replacement::find_replacement;
use crate::sessions::store::SessionStatus;
use crate::sessions::watchers::{Full, Watcher};
use crate::users::{Role, store as users};

/// The longest time that the notice of an end waits for details.
const TIME_FOR_DETAILS: Duration = Duration::from_secs(1);

impl Auth {
    /// Registers a watcher of this user's session. Call [`Auth::status`] afterwards: an earlier end is not
    /// reported again.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub fn watch(&self, user: Uuid, session: Uuid) -> Result<Watcher, Error> {
        let watcher = self.watchers.watch(user, session).map_err(|Full| Error::Busy)?;
        self.feed.wake();
        Ok(watcher)
    }

    /// Waits until no instance answers any more from what it remembered before the call. Call it after the
    /// commit of a change that takes something away, and before every answer that shows the change.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn wait_out_leases(&self) -> Result<(), Error> {
        let began = Instant::now();
        let done = self.feed.wait_out_leases().await;
        histogram!(END_WAIT_SECONDS).record(began.elapsed());
        Ok(done?)
    }

    /// Waits with [`wait_out_leases`](Self::wait_out_leases), and returns `done`. Does not wait if `done` is
    /// an error that decided nothing, because such an error shows no change.
    pub(super) async fn answer_after_wait<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        if done.as_ref().err().is_none_or(Error::is_decided) {
            self.wait_out_leases().await?;
        }
        done
    }

    /// Like [`wait_out_leases`](Self::wait_out_leases), for something that this user may have lost long ago:
    /// then it waits for less time.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(super) async fn wait_out_leases_if_recent(&self, user: Uuid) -> Result<(), Error> {
        Ok(self.feed.wait_out_leases_if_recent(user).await?)
    }

    /// The status of a session, without touching it. An expiry is written before it is reported.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn status(&self, session: Uuid) -> Result<SessionStatus, Error> {
        let policy = self.policy.sessions;
        self.run(move |conn| {
            let status = settled_status(conn, session, &policy)?;
            if !matches!(status, SessionStatus::Live(_)) {
                primary::prove_for_refusal(conn)?;
            }
            Ok(status)
        })
        .await
    }

    /// The session that replaced this one. `None` if the session ended otherwise, or if the database does not
    /// answer within a second: the notice of the end must not wait for it.
    pub async fn replacement(&self, session: Uuid) -> Option<Replacement> {
        let found = self.query(move |conn| find_replacement(conn, session));
        timeout(TIME_FOR_DETAILS, found).await.ok()?.ok()?
    }

    /// Whether the user is an admin now, and not disabled.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_admin(&self, user: Uuid) -> Result<bool, Error> {
        let user = self.query(move |conn| users::find_by_id(conn, user)).await?;
        Ok(user.is_some_and(|user| user.role == Role::Admin && user.disabled_at.is_none()))
    }

    /// Ends every stream when the instance stops.
    pub fn close_streams(&self) {
        self.pages.stop();
        self.watchers.close();
    }
}
