//! The watchers of sessions: the open event streams of this instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot, watch};
use uuid::Uuid;

use super::Ending;

/// The most streams of one session. A page has one; after a reconnection the old one may linger.
const MOST_PER_SESSION: usize = 4;

/// The event streams of one instance. Cheap to clone.
#[derive(Clone)]
pub struct Watchers(Arc<Inner>);

struct Inner {
    most: usize,
    open: Mutex<OpenStreams>,
    changes: watch::Sender<()>,
}

/// The user and the session of a stream. In this order, the streams of one user are side by side.
type UserAndSession = (Uuid, Uuid);

struct Stream {
    key: u64,
    ended: oneshot::Sender<Ending>,
    named: Arc<Notify>,
}

#[derive(Default)]
struct OpenStreams {
    streams: BTreeMap<UserAndSession, Vec<Stream>>,
    count: usize,
    next_key: u64,
    is_closed: bool,
}

/// The place of one stream, which is free again when this is dropped.
pub struct Watcher {
    watchers: Watchers,
    place: UserAndSession,
    key: u64,
    /// Resolves when the session ends, and fails when the instance stops.
    pub ended: oneshot::Receiver<Ending>,
    /// Notified when the user's name, role or session has changed, or may have.
    pub named: Arc<Notify>,
    /// Changes whenever the lists of admins may have changed, such as when a session begins or ends.
    pub changes: watch::Receiver<()>,
}

/// The instance has no place for another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Watchers {
    /// Allows up to `most` streams in all.
    pub fn new(most: usize) -> Self {
        let inner = Inner {
            most,
            open: Mutex::default(),
            changes: watch::Sender::new(()),
        };
        Self(Arc::new(inner))
    }

    /// Registers a stream of this user's session; a session with too many loses its oldest. Look at the
    /// session afterwards: an earlier end is not reported again.
    ///
    /// # Errors
    /// [`Full`].
    pub fn watch(&self, user: Uuid, session: Uuid) -> Result<Watcher, Full> {
        let (mut open, place) = (self.open(), (user, session));
        // A session with all its streams replaces its own oldest, even if no other place is free.
        let own = open.streams.get(&place).map_or(0, Vec::len);
        let is_full = open.count >= self.0.most && own < MOST_PER_SESSION;
        if is_full || open.is_closed {
            return Err(Full);
        }
        let key = open.next_key;
        let (sender, ended) = oneshot::channel();
        let named = Arc::new(Notify::new());
        let streams = open.streams.entry(place).or_default();
        if streams.len() >= MOST_PER_SESSION {
            // The page of the oldest is most likely gone; dropping its sender ends the stream.
            streams.remove(0);
        }
        streams.push(Stream {
            key,
            ended: sender,
            named: named.clone(),
        });
        open.count += 1;
        open.next_key += 1;
        drop(open);
        Ok(Watcher {
            watchers: self.clone(),
            place,
            key,
            ended,
            named,
            changes: self.0.changes.subscribe(),
        })
    }

    /// Every watched session.
    pub(super) fn watched(&self) -> Vec<Uuid> {
        self.open().streams.keys().map(|(_, session)| *session).collect()
    }

    /// The users whose sessions are watched.
    pub(super) fn watched_users(&self) -> Vec<Uuid> {
        self.open().streams.keys().map(|(user, _)| *user).collect()
    }

    /// The watched sessions of these users.
    pub(super) fn watched_of(&self, users: &[Uuid]) -> Vec<Uuid> {
        let open = self.open();
        let of = |user: &Uuid| open.streams.range((*user, Uuid::nil())..=(*user, Uuid::max()));
        users
            .iter()
            .flat_map(of)
            .map(|((_, session), _)| *session)
            .collect()
    }

    /// Tells the watchers of this session that it has ended.
    pub(super) fn tell(&self, ending: Ending) {
        let streams = self
            .open()
            .streams
            .get_mut(&(ending.user, ending.session))
            .map(std::mem::take)
            .unwrap_or_default();
        for stream in streams {
            let _ = stream.ended.send(ending);
        }
    }

    /// Tells the watchers of these users' sessions that something of the user has changed.
    pub(super) fn tell_named(&self, users: &[Uuid]) {
        let open = self.open();
        let of = |user: &Uuid| open.streams.range((*user, Uuid::nil())..=(*user, Uuid::max()));
        for stream in users.iter().flat_map(of).flat_map(|(_, streams)| streams) {
            stream.named.notify_one();
        }
    }

    /// Tells all watchers that what the lists of admins show has changed.
    pub(super) fn tell_change(&self) {
        self.0.changes.send_replace(());
    }

    /// Ends every stream when the instance stops, and takes no more.
    pub fn close(&self) {
        let mut open = self.open();
        open.is_closed = true;
        open.streams.clear();
    }

    /// The number of taken places.
    pub fn count(&self) -> usize {
        self.open().count
    }

    fn open(&self) -> MutexGuard<'_, OpenStreams> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut open = self.watchers.open();
        open.count -= 1;
        if let Some(streams) = open.streams.get_mut(&self.place) {
            streams.retain(|stream| stream.key != self.key);
            if streams.is_empty() {
                open.streams.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::sessions::EndReason;

    #[test]
    fn places_are_bounded_in_all_and_given_back() {
        let watchers = Watchers::new(2);
        let first = watchers.watch(Uuid::new_v4(), Uuid::new_v4()).unwrap();
        let (user, other) = (Uuid::new_v4(), Uuid::new_v4());
        let _second = watchers.watch(user, other).unwrap();
        assert_eq!(watchers.watch(Uuid::new_v4(), Uuid::new_v4()).err(), Some(Full));
        drop(first);
        assert_eq!(watchers.watched(), [other]);
        assert_eq!(watchers.watched_of(&[Uuid::new_v4(), user]), [other]);
        assert!(watchers.watch(Uuid::new_v4(), Uuid::new_v4()).is_ok());
        watchers.close();
        assert_eq!(watchers.watch(Uuid::new_v4(), Uuid::new_v4()).err(), Some(Full));
    }

    #[test]
    fn a_session_with_too_many_streams_loses_the_oldest() {
        let watchers = Watchers::new(10);
        let (user, session) = (Uuid::new_v4(), Uuid::new_v4());
        let mut streams: Vec<_> = (0..5).map(|_| watchers.watch(user, session).unwrap()).collect();
        assert_eq!(
            streams[0].ended.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        );
        assert_eq!(
            streams[1].ended.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        );
    }

    #[test]
    fn a_stream_that_closes_takes_no_other_of_its_session_along() {
        let watchers = Watchers::new(5);
        let (user, session) = (Uuid::new_v4(), Uuid::new_v4());
        let closes = watchers.watch(user, session).unwrap();
        let mut stays = watchers.watch(user, session).unwrap();
        drop(closes);
        assert_eq!((watchers.count(), watchers.watched()), (1, vec![session]));
        assert_eq!(stays.ended.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        drop(stays);
        assert_eq!((watchers.count(), watchers.watched()), (0, vec![]));
    }

    #[test]
    fn everybody_who_watches_a_session_is_told_and_nobody_else() {
        let watchers = Watchers::new(5);
        let (user, session) = (Uuid::new_v4(), Uuid::new_v4());
        let mut told = [
            watchers.watch(user, session).unwrap(),
            watchers.watch(user, session).unwrap(),
        ];
        let mut other = watchers.watch(Uuid::new_v4(), Uuid::new_v4()).unwrap();
        let ending = Ending {
            user,
            session,
            reason: EndReason::Revoked,
            at: Utc::now(),
        };
        watchers.tell(ending);
        assert!(
            told.iter_mut()
                .all(|watcher| watcher.ended.try_recv() == Ok(ending))
        );
        assert!(other.ended.try_recv().is_err());
    }
}
