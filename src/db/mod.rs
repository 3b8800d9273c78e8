//! Access to PostgreSQL: a pool, the migrations, and the step from async to blocking.
//!
//! Every failure of access is [`Unavailable`]: the caller learns that nothing was decided, never a wrong
//! decision (law 5).

mod bounded;
pub mod clock;
mod connection;
mod connector;
pub mod embedded;
pub mod migrations;
mod owned;
mod pinned;
pub mod prepared;
pub mod primary;
pub mod safeguards;
mod timeouts;
#[rustfmt::skip] // Written by `script/schema`.
pub(crate) mod schema;
mod connection_settings;
mod fair_semaphore;
mod libpq_words;
mod pg_connection;
pub mod stale;
pub mod transaction;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use diesel::r2d2::Pool;
use tokio::time::timeout;

use crate::network::Networks;
use crate::redaction::Secrets;
use crate::request_id::RequestId;
use connection::{Purpose, Told};
use connector::Connector;
use fair_semaphore::{FairSemaphore, Full};
use timeouts::Timeouts;

pub use bounded::BoundedConnection;
pub use owned::OwnedConnection;
pub use pg_connection::PgConnection;
pub use pinned::PinnedConnection;

/// A pool that replaced another is not replaced itself before this time is over.
const LASTS: Duration = Duration::from_secs(30);

/// The longest wait for a connection of the pool.
const ACQUIRE: Duration = Duration::from_secs(3);

/// A pool of connections to one PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    url: Arc<str>,
    credentials: Secrets,
    timeouts: Timeouts,
    size: u32,
    shared: Arc<RwLock<Shared>>,
}

/// The connections that are in use now. When some of them are stuck, others take their place.
#[derive(Clone)]
struct Shared {
    pool: Pool<Connector>,
    /// One permit for each connection: callers queue here, without a thread each.
    permits: FairSemaphore,
    generation: usize,
    since: Instant,
    /// When a connection gave no answer last, and it was too early to replace the pool.
    stuck: Option<Instant>,
}

/// How many connections a pool has.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// The number of open connections.
    pub all: f64,
    /// The number of unused ones among them.
    pub idle: f64,
}

/// The database gave no answer. Callers must not conclude anything.
#[derive(Debug, thiserror::Error)]
#[error("the database is unavailable: {0}")]
pub struct Unavailable(String);

impl Unavailable {
    /// An error with this reason, as far as the log may hold its words.
    pub(crate) fn new(why: &dyn fmt::Display) -> Self {
        Self::without(&Secrets::default(), why)
    }

    /// An error without these credentials.
    fn without(credentials: &Secrets, why: &dyn fmt::Display) -> Self {
        Self(credentials.cleaned(&why.to_string()))
    }
}

impl From<diesel::result::Error> for Unavailable {
    fn from(error: diesel::result::Error) -> Self {
        Self::new(&error)
    }
}

/// Opens a connection outside the pool, with the time limits of the pool's connections.
///
/// # Errors
/// PostgreSQL's own words.
pub fn connect(url: &str) -> Result<PgConnection, Unavailable> {
    connection::open(url, for_use(Timeouts::Client))
}

fn for_use(timeouts: Timeouts) -> Purpose {
    Purpose {
        limits: timeouts.settings(),
        marks_copied_sessions: true,
    }
}

impl Database {
    /// Connects once as a test, then keeps up to `size` connections.
    ///
    /// # Errors
    /// PostgreSQL's own words when the first connection fails.
    pub fn connect(url: &str, size: u32) -> Result<Self, Unavailable> {
        Self::connect_with(url, size, Timeouts::Client)
    }

    /// One connection for an operator, who waits longer than any instance can hold a lock. The log names the
    /// holders.
    ///
    /// # Errors
    /// PostgreSQL's own words when the connection fails.
    pub fn connect_as_operator(url: &str) -> Result<Self, Unavailable> {
        Self::connect_with(url, 1, Timeouts::Operator)
    }

    fn connect_with(url: &str, size: u32, timeouts: Timeouts) -> Result<Self, Unavailable> {
        // The pool alone would retry until its time-out, and report less.
        connection::establish(url)?;
        let credentials = Secrets::of_url(url);
        let shared = Shared {
            pool: pool(url, size, timeouts, &credentials),
            permits: FairSemaphore::new(size as usize),
            generation: 0,
            since: Instant::now(),
            stuck: None,
        };
        Ok(Self {
            url: url.into(),
            credentials,
            timeouts,
            size,
            shared: Arc::new(RwLock::new(shared)),
        })
    }

    fn shared(&self) -> Shared {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the pool of this generation, because one of its connections gave no answer in time. Work from now on
    /// gets new connections, perhaps to another server. A frozen server accepts no connections, so it costs one pool.
    fn replace(&self, generation: usize) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        if shared.generation != generation {
            return;
        }
        // A server that is only slow costs a pool every `LASTS` at most.
        if generation > 0 && shared.since.elapsed() <= LASTS {
            shared.stuck = Some(Instant::now());
        } else {
            log::warn!("PostgreSQL gave no answer in time: new connections take the place of the old ones");
            *shared = Shared {
                pool: pool(&self.url, self.size, self.timeouts, &self.credentials),
                permits: FairSemaphore::new(self.size as usize),
                generation: generation + 1,
                since: Instant::now(),
                stuck: None,
            };
        }
    }

    /// The error of a caller who got no connection of this generation. If some are stuck, and it was too early to replace
    /// the pool, it may be time now: perhaps nobody else gets as far as to find out that there is no answer.
    fn busy(&self, generation: usize) -> Unavailable {
        // Much later it is only busy.
        if self
            .shared()
            .stuck
            .is_some_and(|since| since.elapsed() < 2 * LASTS)
        {
            self.replace(generation);
        }
        Unavailable("every connection is busy".to_owned())
    }

    /// The number of connections, and of unused ones.
    pub fn connections(&self) -> Connections {
        let state = self.shared().pool.state();
        Connections {
            all: state.connections.into(),
            idle: state.idle_connections.into(),
        }
    }

    /// A connection for one thread, beside the pool.
    pub fn pin(&self) -> PinnedConnection {
        PinnedConnection::new(self.clone())
    }

    /// A connection outside the pool, for long work that must not block others.
    ///
    /// # Errors
    /// PostgreSQL's own words, or no answer in time.
    pub async fn own(&self) -> Result<OwnedConnection, Unavailable> {
        OwnedConnection::open(self.url.as_ref().to_owned()).await
    }

    /// Runs `work` with a connection, off the async threads. Waiting callers take turns by origin.
    ///
    /// # Errors
    /// Those of `work`, and [`Unavailable`] when no connection or no answer came in time. Work with a late
    /// answer may still have taken effect, as with any lost reply.
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut PgConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        let Shared {
            pool,
            permits,
            generation,
            ..
        } = self.shared();
        let permit = timeout(ACQUIRE, permits.acquire(Networks::current()))
            .await
            .map_err(|_| self.busy(generation))?
            .map_err(|Full| self.busy(generation))?;
        let credentials = self.credentials.clone();
        let (backend, reporter) = timeouts::watched(self.timeouts, &self.url);
        let answer = tokio::task::spawn_blocking(RequestId::carried(move || {
            // A stuck thread keeps its permit, so no more threads than connections get stuck.
            let _permit = permit;
            let mut connection = pool
                .get()
                .map_err(|error| Unavailable::without(&credentials, &error))?;
            backend.send(&mut connection);
            work(&mut connection)
        }));
        let answer = timeout(self.timeouts.answer(), reporter.during(answer)).await;
        let Ok(answer) = answer else {
            self.replace(generation);
            return Err(Unavailable("no answer in time".to_owned()).into());
        };
        answer.map_err(|error| Unavailable::new(&error))?
    }
}

fn pool(url: &str, size: u32, timeouts: Timeouts, credentials: &Secrets) -> Pool<Connector> {
    Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .connection_timeout(ACQUIRE)
        .error_handler(Box::new(Told(credentials.clone())))
        .build_unchecked(Connector::new(url, for_use(timeouts)))
}
