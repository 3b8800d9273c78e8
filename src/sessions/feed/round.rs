//! The answer to one question to the feed, and the listeners that are told of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::moment::Moment;

/// The answer to one question to the feed.
#[derive(Clone, Debug)]
pub struct Round {
    /// The server that answered.
    pub server: Arc<str>,
    /// A moment just before the question was sent.
    pub asked: Moment,
    /// PostgreSQL's time, between the question and the answer.
    pub server_time: DateTime<Utc>,
    /// Whether changes may have been missed. Then all that was remembered has to be forgotten.
    pub is_lost: bool,
    /// Whether the feed can be relied on: no writer is about to commit a change that the feed does not name.
    pub is_reliable: bool,
    /// Users whose rights or sessions have changed; nil means all users.
    pub named: Vec<Uuid>,
    /// Those of them who lost a right or a session.
    pub ended: Vec<Uuid>,
    /// How long answers from memory may be given, counted from `asked`.
    pub lease: Option<Duration>,
}

/// A listener that is told of each round.
pub trait FeedListener: Send + Sync {
    /// Takes note of a round.
    fn hear(&self, round: &Round);

    /// When a round last said that this user lost a right or a session, or that all users may have. Before
    /// the first round, when the listener was made.
    fn last_end(&self, user: Uuid) -> Moment;
}
