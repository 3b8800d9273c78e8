//! What a question to the feed brings, and who is told of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::moment::Moment;

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
    /// The feed can be relied on: no writer is about to commit something that it does not know of.
    pub is_reliable: bool,
    /// Users whose rights or sessions have changed; nil means all users.
    pub named: Vec<Uuid>,
    /// Those of them who lost something.
    pub ended: Vec<Uuid>,
    /// How long answers from memory may be given, counted from `asked`.
    pub lease: Option<Duration>,
}

/// What is told of each round.
pub trait FeedListener: Send + Sync {
    /// Takes note of a round.
    fn hear(&self, round: &Round);

    /// When it was heard last that this user lost something, or when the feed was first read.
    fn last_end(&self, user: Uuid) -> Moment;
}
