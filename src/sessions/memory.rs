//! The cache of validated tokens: live sessions and their users, as this instance remembers them.
//!
//! PostgreSQL's answer that a token is valid is kept until the feed names its user. The instance gives that
//! answer again while it holds a lease: since it last sent a question to the feed, less time than the lease
//! has passed, by both clocks of the machine. Every end waits longer than that before it is acknowledged, so
//! no answer from memory comes after an acknowledgement (docs/decisions/0007). Only valid tokens are
//! remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use uuid::Uuid;

use super::feed::{FeedListener, Round};
use crate::moment::Moment;
use crate::token::TokenDigest;

/// How long the index keeps the users that the feed has named: longer than any query and any wait.
const NAMES_KEPT: Duration = Duration::from_secs(15);
/// The result of a query that took longer is not kept.
const OLDEST_MARK: Duration = Duration::from_secs(10);
/// A value that is older is asked for again, so that a change that the feed missed is not hidden for ever.
const OLDEST_VALUE: Duration = Duration::from_secs(10 * 60);
/// With more names, all users count as named.
const MOST_NAMES: usize = 50_000;

/// A point in the feed, taken before a query is sent.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    round: u64,
    at: Moment,
}

/// PostgreSQL's clock now, as far as the instance can tell.
#[derive(Clone, Copy, Debug)]
pub struct ServerTime {
    /// PostgreSQL's clock shows at least this.
    pub earliest: DateTime<Utc>,
    /// PostgreSQL's clock shows at most this, if it runs no more than two per cent faster than ours.
    pub latest: DateTime<Utc>,
    /// This moment by the clocks of the machine.
    pub at: Moment,
}

/// Remembers values by token, and forgets them by user.
pub struct Memory<V> {
    values: Cache<TokenDigest, Value<V>, UnitWeighter, DefaultHashBuilder, Evicted<V>>,
    lease: RwLock<Option<Lease>>,
    index: Mutex<Index>,
}

/// The user, when the value was asked for, and the value.
type Value<V> = (Uuid, Moment, V);

#[derive(Clone, Copy)]
struct Lease {
    asked: Moment,
    length: Duration,
    server_time: DateTime<Utc>,
}

/// What is remembered, and what the feed has said, by user.
struct Index {
    /// The server that the feed is read from.
    server: Option<Arc<str>>,
    /// Whether that server has given a lease.
    has_lease: bool,
    /// Whether the last round was reliable.
    is_reliable: bool,
    /// The number of rounds heard.
    round: u64,
    /// The last round that named all users, and when.
    everybody: Named,
    names: HashMap<Uuid, Named>,
    /// The token that is remembered of each user.
    tokens: HashMap<Uuid, TokenDigest>,
}

#[derive(Clone, Copy)]
struct Named {
    round: u64,
    at: Moment,
    /// When the user last lost a right or a session.
    ended: Moment,
}

impl<V: Clone + Send + Sync> Memory<V> {
    /// Remembers up to `capacity` values. With 0, it remembers none.
    pub fn new(capacity: usize) -> Self {
        let values = Cache::with(
            capacity.max(1),
            capacity as u64,
            UnitWeighter,
            DefaultHashBuilder::default(),
            Evicted(std::marker::PhantomData),
        );
        let start = Moment::now();
        let never = Named {
            round: 0,
            at: start,
            ended: start,
        };
        Self {
            values,
            lease: RwLock::new(None),
            index: Mutex::new(Index {
                server: None,
                has_lease: false,
                is_reliable: false,
                round: 0,
                everybody: never,
                names: HashMap::new(),
                tokens: HashMap::new(),
            }),
        }
    }

    /// The value of this token and PostgreSQL's time, if there is a lease and the value is not too old.
    pub fn recall(&self, token: &TokenDigest) -> Option<(V, ServerTime)> {
        // Read the lease first: a round removes what it names before it writes its lease.
        let lease = (*self.lease.read().unwrap_or_else(PoisonError::into_inner))?;
        let (_, asked, value) = self.values.get(token)?;
        let now = Moment::now();
        (now.is_within(lease.length, lease.asked) && now.since(asked) < OLDEST_VALUE)
            .then(|| (value, lease.server_time(now)))
    }

    /// Whether this instance holds a lease of this server.
    pub fn is_leased_by(&self, server: Option<&str>) -> bool {
        let index = self.index();
        // The lease and the index are of the same round: a round keeps the index locked until its lease is
        // written.
        let lease = *self.lease.read().unwrap_or_else(PoisonError::into_inner);
        index.server.as_deref() == server
            && index.has_lease
            && lease.is_some_and(|lease| Moment::now().is_within(lease.length, lease.asked))
    }

    /// Forgets the value of this token, because a query has not found it.
    pub fn forget(&self, token: &TokenDigest) {
        // The index may name a token whose value is gone, but every value has its token in the index.
        self.values.remove(token);
    }

    /// The current point in the feed. Take it before you send the query for a value.
    pub fn mark(&self) -> Mark {
        Mark {
            round: self.index().round,
            at: Moment::now(),
        }
    }

    /// Remembers a value from `server`, unless the feed is unreliable, comes from another server, or has
    /// named the user since the query began.
    pub fn keep(&self, mark: Mark, server: &str, user: Uuid, token: TokenDigest, value: V) {
        if self.values.capacity() == 0 || Moment::now().since(mark.at) > OLDEST_MARK {
            return;
        }
        let mut index = self.index();
        let is_known = index.server.as_deref() == Some(server);
        if !is_known || !index.is_reliable || index.named(user).round > mark.round {
            return;
        }
        if let Some(earlier) = index.tokens.insert(user, token)
            && earlier != token
        {
            self.values.remove(&earlier);
        }
        let mut evicted = Vec::new();
        self.values
            .insert_with_lifecycle(token, (user, mark.at, value), &mut evicted);
        for (token, user) in evicted {
            // The list also has values that were replaced, whose tokens are still there.
            if !self.values.contains_key(&token) && index.tokens.get(&user) == Some(&token) {
                index.tokens.remove(&user);
            }
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone + Send + Sync> FeedListener for Memory<V> {
    fn hear(&self, round: &Round) {
        let mut index = self.index();
        index.round += 1;
        let at = Moment::now();
        let now = Named {
            round: index.round,
            at,
            ended: at,
        };
        // While a transaction that changes something is open, no lease is given. But its row in the feed may
        // be lost: a prepared transaction keeps its lock through a crash, and what it wrote to the unlogged
        // table of the feed is gone. So a server counts only after its first lease.
        index.has_lease =
            round.lease.is_some() || index.has_lease && index.server.as_ref() == Some(&round.server);
        let was_reliable = std::mem::replace(&mut index.is_reliable, round.is_reliable);
        if round.is_lost
            || !round.is_reliable
            || !was_reliable
            || index.server.as_ref() != Some(&round.server)
            || round.named.contains(&Uuid::nil())
        {
            index.server = Some(round.server.clone());
            index.everybody = now;
            index.names.clear();
            index.tokens.clear();
            self.values.clear();
        } else {
            for user in &round.named {
                if let Some(token) = index.tokens.remove(user) {
                    self.values.remove(&token);
                }
                let ended = index.named(*user).ended;
                index.names.insert(*user, Named { ended, ..now });
            }
            for user in &round.ended {
                index.names.insert(*user, now);
            }
            if index.names.len() > MOST_NAMES {
                index.names.retain(|_, named| at.since(named.at) < NAMES_KEPT);
            }
            if index.names.len() > MOST_NAMES {
                index.everybody = now;
                index.names.clear();
            }
        }
        // Write the lease last: nothing that is found under it is older than what this round removed.
        if let Some(length) = round.lease {
            *self.lease.write().unwrap_or_else(PoisonError::into_inner) = Some(Lease {
                asked: round.asked,
                length,
                server_time: round.server_time,
            });
        }
    }

    fn last_end(&self, user: Uuid) -> Moment {
        self.index().named(user).ended
    }
}

impl Index {
    fn named(&self, user: Uuid) -> Named {
        match self.names.get(&user) {
            Some(named) if named.round > self.everybody.round => *named,
            _ => self.everybody,
        }
    }
}

impl Lease {
    fn server_time(&self, now: Moment) -> ServerTime {
        let gone = TimeDelta::from_std(now.since(self.asked)).unwrap_or(TimeDelta::MAX);
        ServerTime {
            earliest: self.server_time,
            latest: self
                .server_time
                .checked_add_signed(gone + gone / 50)
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
            at: now,
        }
    }
}

/// Collects the values that are evicted to make room for others.
#[derive(Debug)]
struct Evicted<V>(std::marker::PhantomData<fn() -> V>);

impl<V> Clone for Evicted<V> {
    fn clone(&self) -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<V> Lifecycle<TokenDigest, Value<V>> for Evicted<V> {
    type RequestState = Vec<(TokenDigest, Uuid)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, token: TokenDigest, (user, ..): Value<V>) {
        evicted.push((token, user));
    }
}

#[cfg(test)]
mod tests;
