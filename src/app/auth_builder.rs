//! Builds the use cases, with their threads, their connections and their memory.

use std::sync::Arc;
use std::thread::available_parallelism;

use super::Error;
use crate::auth::{Auth, Validator, write_restored};
use crate::config::{Pepper, Policy, ServeConfig, SessionPolicy};
use crate::db::Database;
use crate::sessions::feed::{Feed, ForStreams, LeaseSetting, RunningReader};
use crate::sessions::memory::Memory;
use crate::sessions::pages::Pages;
use crate::sessions::watchers::Watchers;
use crate::users::Hasher;
use crate::users::store::admins_among;

/// The sizes and settings of the parts of the use cases.
pub(super) struct AuthBuilder {
    url: String,
    db: Database,
    /// Threads that hash passwords.
    hashers: usize,
    /// Threads that validate tokens, each with a connection beside the pool.
    validators: usize,
    /// Most sessions that are remembered.
    capacity: usize,
    lease: LeaseSetting,
    max_event_streams: usize,
    /// Whether sessions are ended whose pages are gone.
    ends_lost_pages: bool,
    pepper: Option<Pepper>,
    policy: Policy,
}

impl AuthBuilder {
    /// The sizes for a server.
    ///
    /// There is one thread to hash for each processor, and two to validate: while one waits for the database
    /// the other talks to the workers, and more only make the batches smaller. Their connections are two of
    /// those that are configured, or only one if otherwise none were left for everything else.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(super) fn for_server(url: String, connections: u32, config: &ServeConfig) -> Result<Self, Error> {
        let validators = (connections - 1).min(2);
        Ok(Self {
            db: Database::connect(&url, connections - validators)?,
            hashers: available_parallelism().map_or(1, usize::from),
            validators: validators as usize,
            capacity: config.memory.sessions(),
            lease: LeaseSetting::Of(config.memory.lease),
            max_event_streams: config.http.max_event_streams,
            ends_lost_pages: !config.page_grace.is_zero(),
            pepper: config.pepper.clone(),
            policy: config.policy,
            url,
        })
    }

    /// The sizes for a short command: one connection that waits long, one thread to hash on, no validation of
    /// tokens, and no event streams. Its sessions end as their rows say, because a command does not know the
    /// servers' limits.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(super) fn for_command(url: String, policy: Policy) -> Result<Self, Error> {
        let sessions = SessionPolicy::AS_STORED;
        Ok(Self {
            db: Database::connect_as_operator(&url)?,
            hashers: 1,
            validators: 0,
            capacity: 0,
            lease: LeaseSetting::AsSet,
            max_event_streams: 0,
            ends_lost_pages: false,
            pepper: None,
            policy: Policy { sessions, ..policy },
            url,
        })
    }

    /// Starts the threads. The reader reads until it is dropped.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(super) fn start(self) -> Result<(Auth, RunningReader), Error> {
        let watchers = Watchers::new(self.max_event_streams);
        let memory = Arc::new(Memory::new(self.capacity));
        let (feed, reader) = Feed::start(
            &self.url,
            self.lease,
            memory.clone(),
            watchers.clone(),
            ForStreams {
                write_restored,
                admins_among,
            },
        )?;
        let validator = Validator::start(&self.db, self.validators, memory, self.policy.sessions)?;
        let hasher = Hasher::start(self.hashers, self.pepper)?;
        let pages = Pages::new(self.ends_lost_pages);
        let auth = Auth::new(self.db, hasher, validator, watchers, feed, pages, self.policy);
        Ok((auth, reader))
    }
}
