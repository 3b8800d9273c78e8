//! The way to PostgreSQL: a pool, the migrations, and the one hop from async to blocking.
//!
//! Whatever goes wrong on the way is [`Unavailable`]: the caller learns that nothing was decided,
//! never a wrong decision (law 5).

pub mod clock;
mod connection;
pub mod embedded;
pub mod migrations;
mod owned;
mod pinned;
mod timeouts;
#[rustfmt::skip] // Written by `script/schema`.
pub(crate) mod schema;
mod fair_semaphore;
pub mod stale;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use diesel::pg::PgConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use tokio::time::timeout;

use crate::network::Share;
use crate::redaction::Secrets;
use crate::request_id::RequestId;
use connection::{Customize, Told, with_timeouts};
use fair_semaphore::{FairSemaphore, Full};
use timeouts::Timeouts;

pub use owned::OwnedConnection;
pub use pinned::PinnedConnection;

/// How long a caller waits for its turn at the pool.
const TURN: Duration = Duration::from_secs(3);

/// A pool of connections to one PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    url: Arc<str>,
    credentials: Secrets,
    pool: Pool<ConnectionManager<PgConnection>>,
    /// One for each connection: callers queue here, without a thread each.
    turns: FairSemaphore,
    timeouts: Timeouts,
}

/// Connections of a pool.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Those that stand.
    pub all: f64,
    /// Those that nobody uses.
    pub idle: f64,
}

/// The database gave no answer. Nothing may be concluded from that.
#[derive(Debug, thiserror::Error)]
#[error("the database is unavailable: {0}")]
pub struct Unavailable(String);

impl Unavailable {
    /// For what stands between the caller and the database, in its own words as far as the log may hold them.
    pub(crate) fn new(why: &dyn fmt::Display) -> Self {
        Self::without(&Secrets::default(), why)
    }

    /// The same without the credentials of the way there.
    fn without(credentials: &Secrets, why: &dyn fmt::Display) -> Self {
        Self(credentials.cleaned(&why.to_string()))
    }
}

impl From<diesel::result::Error> for Unavailable {
    fn from(error: diesel::result::Error) -> Self {
        Self::new(&error)
    }
}

/// One connection outside the pool, bounded in time like those in it.
///
/// # Errors
/// PostgreSQL's own words.
pub fn connect(url: &str) -> Result<PgConnection, Unavailable> {
    let mut connection = connection::establish(url)?;
    connection::configure(&mut connection, Timeouts::Client)?;
    Ok(connection)
}

impl Database {
    /// Connects once to see that it works, then keeps up to `size` connections.
    ///
    /// # Errors
    /// PostgreSQL's own words when the first connection fails.
    pub fn connect(url: &str, size: u32) -> Result<Self, Unavailable> {
        Self::connect_with(url, size, Timeouts::Client)
    }

    /// One connection for an operator, who waits longer than any instance can hold anything, and is told for whom.
    ///
    /// # Errors
    /// PostgreSQL's own words when the connection fails.
    pub fn connect_patiently(url: &str) -> Result<Self, Unavailable> {
        Self::connect_with(url, 1, Timeouts::Operator)
    }

    fn connect_with(url: &str, size: u32, timeouts: Timeouts) -> Result<Self, Unavailable> {
        // The pool alone would retry until its time-out, and tell less of what went wrong.
        connection::establish(url)?;
        let credentials = Secrets::of_url(url);
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(Some(1))
            .connection_timeout(TURN)
            .connection_customizer(Box::new(Customize(timeouts)))
            .error_handler(Box::new(Told(credentials.clone())))
            .build_unchecked(ConnectionManager::new(with_timeouts(url)));
        Ok(Self {
            url: url.into(),
            credentials,
            pool,
            turns: FairSemaphore::new(size as usize),
            timeouts,
        })
    }

    /// How many there are, and how many of them nobody uses.
    pub fn connections(&self) -> Connections {
        let state = self.pool.state();
        Connections {
            all: state.connections.into(),
            idle: state.idle_connections.into(),
        }
    }

    /// A connection for one thread of the caller's. There must be another one left for everybody else.
    pub fn pin(&self) -> PinnedConnection {
        PinnedConnection::new(self.pool.clone(), self.turns.clone(), self.credentials.clone())
    }

    /// A connection outside the pool, for long work that keeps nobody else from theirs.
    ///
    /// # Errors
    /// PostgreSQL's own words, or that they did not come in time.
    pub async fn own(&self) -> Result<OwnedConnection, Unavailable> {
        OwnedConnection::open(self.url.as_ref().to_owned()).await
    }

    /// Runs `work` with a connection, off the async threads. Callers who wait for one take turns by origin.
    ///
    /// # Errors
    /// Those of `work`, and [`Unavailable`] when no connection or no answer came in time. An answer
    /// that came too late may still have taken effect, as with any lost reply.
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut PgConnection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        let busy = || Unavailable("every connection is busy".to_owned());
        let turn = timeout(TURN, self.turns.take(Share::current()))
            .await
            .map_err(|_| busy())?
            .map_err(|Full| busy())?;
        let (pool, credentials) = (self.pool.clone(), self.credentials.clone());
        let (tells, waits) = timeouts::watched(self.timeouts, &self.url);
        let answer = tokio::task::spawn_blocking(RequestId::carried(move || {
            // Moved in: a thread that is stuck keeps its turn, so no more threads than connections get stuck.
            let _turn = turn;
            let mut connection = pool
                .get()
                .map_err(|error| Unavailable::without(&credentials, &error))?;
            tells.of(&mut connection);
            work(&mut connection)
        }));
        timeout(self.timeouts.answer(), waits.beside(answer))
            .await
            .map_err(|_| Unavailable("no answer in time".to_owned()))?
            .map_err(|error| Unavailable::new(&error))?
    }
}
