//! What all experiments share: the options, one PostgreSQL, one directory, and databases that are filled once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::options::Options;
use crate::seed::{self, Seeded};

/// One run of the benchmark.
pub struct Bench {
    pub options: Options,
    pub cluster: Cluster,
    filled: RefCell<HashMap<u64, Seeded>>,
    copies: Cell<u32>,
    /// The stored password hash of all users, computed once.
    password_hash: String,
}

impl Bench {
    pub fn start(options: Options) -> Result<Self> {
        say(format_args!("starting a throw-away PostgreSQL"));
        Ok(Self {
            options,
            cluster: Cluster::start()?,
            filled: RefCell::default(),
            copies: Cell::default(),
            password_hash: seed::password_hash()?,
        })
    }

    /// A database with this many live sessions, for experiments that do not change it.
    pub fn sessions(&self, sessions: u64) -> Result<Seeded> {
        if let Some(seeded) = self.filled.borrow().get(&sessions) {
            return Ok(seeded.clone());
        }
        say(format_args!("loading {sessions} sessions"));
        let seeded = Seeded::fill(&self.cluster, sessions, &self.password_hash)?;
        self.filled.borrow_mut().insert(sessions, seeded.clone());
        Ok(seeded)
    }

    /// A database with this many live sessions in another PostgreSQL.
    pub fn sessions_in(&self, cluster: &Cluster, sessions: u64) -> Result<Seeded> {
        Seeded::fill(cluster, sessions, &self.password_hash)
    }

    /// A copy of the database of [`Self::sessions`], for experiments that change it.
    pub fn own_sessions(&self, sessions: u64) -> Result<Seeded> {
        let original = self.sessions(sessions)?;
        let copy = self.copies.replace(self.copies.get() + 1);
        let database = format!("{}_copy_{copy}", original.database);
        self.cluster.copy(&original.database, &database)?;
        Ok(original.at(&self.cluster, database))
    }
}

/// One line of progress, with the seconds since the start.
pub fn say(words: fmt::Arguments<'_>) {
    static START: OnceLock<Instant> = OnceLock::new();
    let seconds = START.get_or_init(Instant::now).elapsed().as_secs();
    eprintln!("[{:>3}:{:02}] {words}", seconds / 60, seconds % 60);
}
