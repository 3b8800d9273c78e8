//! Who may do what, as this instance remembers it: for as long as nobody has been told otherwise.
//!
//! A "yes" of PostgreSQL is kept until the feed names its user. It is given again while the instance holds a
//! lease: less than the lease has passed since the last question to the feed was sent, by both clocks of the
//! machine. Every end waits longer than that before it is acknowledged, so no answer from memory comes after
//! an acknowledgement (docs/decisions/0007). Only "yes" is remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use uuid::Uuid;

use crate::moment::Moment;
use crate::token::TokenDigest;

/// How long names from the feed are kept: longer than any query and any wait.
const NAMES_KEPT: Duration = Duration::from_secs(30);
/// A query that took longer is not remembered.
const OLDEST_MARK: Duration = Duration::from_secs(20);
/// So many names, and everybody counts as named.
const MOST_NAMES: usize = 20_000;

/// What one question to the feed brought.
#[derive(Clone, Debug)]
pub struct Round {
    /// The server that answered.
    pub server: Arc<str>,
    /// Before the question was sent.
    pub asked: Moment,
    /// PostgreSQL's time, between the question and the answer.
    pub server_time: DateTime<Utc>,
    /// What was remembered means nothing any more.
    pub is_lost: bool,
    /// Whom something happened to; nil stands for everybody.
    pub named: Vec<Uuid>,
    /// Those among them from whom something was taken.
    pub ended: Vec<Uuid>,
    /// How long answers from memory may be given, counted from `asked`.
    pub lease: Option<Duration>,
}

/// Listens to the feed.
pub trait Hears: Send + Sync {
    /// Takes note of a round.
    fn hear(&self, round: &Round);

    /// When it was heard last that something was taken from this user, or when the feed was first read.
    fn last_end(&self, user: Uuid) -> Moment;
}

/// A point in the feed, taken before a query is sent.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    round: u64,
    at: Moment,
}

/// PostgreSQL's clock now, as far as the instance can tell.
#[derive(Clone, Copy, Debug)]
pub struct ServerTime {
    /// It is not earlier.
    pub earliest: DateTime<Utc>,
    /// It is not later, if it goes as fast as ours within two per cent.
    pub latest: DateTime<Utc>,
}

/// Remembers values by token, and forgets them by user.
pub struct Memory<V> {
    values: Cache<TokenDigest, (Uuid, V), UnitWeighter, DefaultHashBuilder, Evicted<V>>,
    lease: RwLock<Option<Lease>>,
    books: Mutex<Books>,
    capacity: usize,
}

#[derive(Clone, Copy)]
struct Lease {
    asked: Moment,
    length: Duration,
    server_time: DateTime<Utc>,
}

struct Books {
    /// The server that the feed is read from.
    server: Option<Arc<str>>,
    /// Rounds heard.
    round: u64,
    /// The round that named everybody last, and when it was heard.
    everybody: Named,
    names: HashMap<Uuid, Named>,
    /// Whose tokens are remembered: one for each user.
    tokens: HashMap<Uuid, TokenDigest>,
}

#[derive(Clone, Copy)]
struct Named {
    round: u64,
    at: Moment,
    /// When something was taken last.
    ended: Moment,
}

impl<V: Clone + Send + Sync> Memory<V> {
    /// Remembers up to `capacity` values; 0: none.
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
            books: Mutex::new(Books {
                server: None,
                round: 0,
                everybody: never,
                names: HashMap::new(),
                tokens: HashMap::new(),
            }),
            capacity,
        }
    }

    /// The value of this token, and the time, if both are certain.
    pub fn recall(&self, token: &TokenDigest) -> Option<(V, ServerTime)> {
        // In this order: what the lease stands for was forgotten before the lease was written down.
        let lease = (*self.lease.read().unwrap_or_else(PoisonError::into_inner))?;
        let (_, value) = self.values.get(token)?;
        let now = Moment::now();
        now.is_within(lease.length, lease.asked)
            .then(|| (value, lease.server_time(now)))
    }

    /// To be called before the query that brings a value is sent.
    pub fn mark(&self) -> Mark {
        Mark {
            round: self.books().round,
            at: Moment::now(),
        }
    }

    /// Remembers what `server` said, unless the feed comes from another server, or has named the user since
    /// the query began.
    pub fn keep(&self, mark: Mark, server: &str, user: Uuid, token: TokenDigest, value: V) {
        if self.capacity == 0 || Moment::now().since(mark.at) > OLDEST_MARK {
            return;
        }
        let mut books = self.books();
        let is_known = books.server.as_deref() == Some(server);
        if !is_known || books.named(user).round > mark.round {
            return;
        }
        if let Some(earlier) = books.tokens.insert(user, token)
            && earlier != token
        {
            self.values.remove(&earlier);
        }
        let mut evicted = Vec::new();
        self.values
            .insert_with_lifecycle(token, (user, value), &mut evicted);
        for (token, user) in evicted {
            if books.tokens.get(&user) == Some(&token) {
                books.tokens.remove(&user);
            }
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone + Send + Sync> Hears for Memory<V> {
    fn hear(&self, round: &Round) {
        let mut books = self.books();
        books.round += 1;
        let at = Moment::now();
        let now = Named {
            round: books.round,
            at,
            ended: at,
        };
        if round.is_lost || books.server.as_ref() != Some(&round.server) || round.named.contains(&Uuid::nil())
        {
            books.server = Some(round.server.clone());
            books.everybody = now;
            books.names.clear();
            books.tokens.clear();
            self.values.clear();
        } else {
            for user in &round.named {
                if let Some(token) = books.tokens.remove(user) {
                    self.values.remove(&token);
                }
                let ended = books.named(*user).ended;
                books.names.insert(*user, Named { ended, ..now });
            }
            for user in &round.ended {
                books.names.insert(*user, now);
            }
            if books.names.len() > MOST_NAMES {
                books.names.retain(|_, named| at.since(named.at) < NAMES_KEPT);
            }
            if books.names.len() > MOST_NAMES {
                books.everybody = now;
                books.names.clear();
            }
        }
        // Last: whoever sees this lease finds nothing that was forgotten.
        if let Some(length) = round.lease {
            *self.lease.write().unwrap_or_else(PoisonError::into_inner) = Some(Lease {
                asked: round.asked,
                length,
                server_time: round.server_time,
            });
        }
    }

    fn last_end(&self, user: Uuid) -> Moment {
        self.books().named(user).ended
    }
}

impl Books {
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
        }
    }
}

/// Collects what makes room for something else.
#[derive(Debug)]
struct Evicted<V>(std::marker::PhantomData<fn() -> V>);

impl<V> Clone for Evicted<V> {
    fn clone(&self) -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<V> Lifecycle<TokenDigest, (Uuid, V)> for Evicted<V> {
    type RequestState = Vec<(TokenDigest, Uuid)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, token: TokenDigest, (user, _): (Uuid, V)) {
        evicted.push((token, user));
    }
}
