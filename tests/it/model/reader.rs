//! An instance reads the feed, drops what it names, and may then answer from memory for one lease, counted from
//! the moment before it asked.
//!
//! An instance clears its memory when the answer comes from another server or over another connection, and
//! when its last question is so old, by its own clock, that rows it has not read may have been swept.

use super::database::{KEPT, Snapshot};
use super::scenario::{LEASE, MARGIN};
use super::{Fault, Scenario, State};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader {
    /// The server that gave the last answer; 0 is none yet.
    pub server: u8,
    /// The snapshot of the last answer.
    cursor: Snapshot,
    /// How long ago the question was sent that gave `cursor`. Counted where the feed is swept.
    cursor_age: u8,
    /// The connection is another one than the last answer's.
    is_reconnected: bool,
    pub question: Question,
    /// How much of the lease is left: memory is good until then.
    pub left: u8,
}

/// `age`: how many ticks ago the question was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Question {
    #[default]
    None,
    Sent {
        age: u8,
    },
    /// The database holds the lock for it that keeps out writers that know no leases, if `granted`.
    Locked {
        age: u8,
        granted: bool,
    },
    /// Only with a fault: the lock is tried after the snapshot was taken.
    Seen {
        age: u8,
        answer: Answer,
    },
    Answered {
        age: u8,
        answer: Answer,
    },
    Dropped {
        age: u8,
        lease: u8,
    },
    /// Only with a fault: the lease is extended before anything is dropped.
    Published {
        age: u8,
        answer: Answer,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    server: u8,
    snapshot: Snapshot,
    /// The feed names the user.
    named: bool,
    /// The lease that is granted; 0 is none.
    lease: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Ask,
    TryLock,
    Answer,
    AnswerOfReplaced,
    Drop,
    Publish,
    Lose,
}

pub const STEPS: [Step; 7] = [
    Step::Ask,
    Step::TryLock,
    Step::Answer,
    Step::AnswerOfReplaced,
    Step::Drop,
    Step::Publish,
    Step::Lose,
];

impl Reader {
    pub fn tick(&mut self, is_swept: bool) {
        self.left = self.left.saturating_sub(1);
        if is_swept && self.server > 0 {
            self.cursor_age = KEPT.min(self.cursor_age + 1);
        }
        match &mut self.question {
            Question::Sent { age }
            | Question::Locked { age, .. }
            | Question::Seen { age, .. }
            | Question::Answered { age, .. }
            | Question::Dropped { age, .. }
            | Question::Published { age, .. } => *age = (*age + 1).min(if is_swept { KEPT } else { LEASE }),
            Question::None => {}
        }
    }

    pub fn holds_the_lock(&self) -> bool {
        matches!(self.question, Question::Locked { granted: true, .. })
    }

    pub fn is_refused_a_lease(&self) -> bool {
        matches!(self.question, Question::Answered { answer, .. } if answer.lease == 0)
    }

    fn lose(&mut self) {
        self.question = Question::None;
        self.is_reconnected = self.server > 0;
    }

    pub fn lose_a_question_under_way(&mut self) {
        if matches!(self.question, Question::Locked { .. } | Question::Seen { .. }) {
            self.lose();
        }
    }
}

impl Scenario {
    pub(super) fn reader_step(&self, state: &mut State, step: Step) -> Option<()> {
        use Question::{Answered, Dropped, Locked, None as Idle, Published, Seen, Sent};
        let question = state.reader.question;
        let is_locked = state.writer.holds_the_lock();
        let early = self.has(Fault::SnapshotBeforeTheLock);
        state.reader.question = match (step, question) {
            (Step::Ask, Idle) => Sent { age: 0 },
            (Step::TryLock, Sent { age }) if self.unaware_writer && !early => Locked {
                age,
                granted: !is_locked,
            },
            (Step::Answer, Sent { age }) if !self.unaware_writer => Answered {
                age,
                answer: self.answer(state, true),
            },
            (Step::Answer, Locked { age, granted }) => Answered {
                age,
                answer: self.answer(state, granted),
            },
            (Step::Answer, Sent { age }) if early => Seen {
                age,
                answer: self.answer(state, true),
            },
            (Step::TryLock, Seen { age, mut answer }) => {
                answer.lease = if is_locked { 0 } else { answer.lease };
                Answered { age, answer }
            }
            (Step::AnswerOfReplaced, Sent { age }) if self.has(Fault::ReplacedServerAnswersTheReader) => {
                // The memory knows nothing that happened since.
                let server = state.database.server - 1;
                if server != state.reader.server || !state.database.says_alive(server) {
                    return None;
                }
                let answer = Answer {
                    server,
                    snapshot: state.reader.cursor,
                    named: false,
                    lease: state.database.lease,
                };
                Answered { age, answer }
            }
            (Step::Drop, Answered { age, answer }) if !self.has(Fault::PublishedBeforeDropped) => {
                self.drop_named(state, age, answer);
                Dropped {
                    age,
                    lease: answer.lease,
                }
            }
            (Step::Publish, Dropped { age, lease }) => {
                self.publish(state, age, lease);
                Idle
            }
            (Step::Publish, Answered { age, answer }) if self.has(Fault::PublishedBeforeDropped) => {
                self.publish(state, age, answer.lease);
                Published { age, answer }
            }
            (Step::Drop, Published { age, answer }) => {
                self.drop_named(state, age, answer);
                Idle
            }
            (Step::Lose, Idle | Sent { .. } | Locked { .. } | Seen { .. } | Answered { .. }) => {
                state.losses_left = state.losses_left.checked_sub(1)?;
                state.reader.lose();
                Idle
            }
            _ => return None,
        };
        Some(())
    }

    fn answer(&self, state: &State, granted: bool) -> Answer {
        let database = &state.database;
        Answer {
            server: database.server,
            snapshot: database.snapshot(self),
            named: database.names_since(state.reader.cursor),
            lease: if granted { database.lease } else { 0 },
        }
    }

    fn drop_named(&self, state: &mut State, age: u8, answer: Answer) {
        let reader = &mut state.reader;
        let is_another = reader.server != answer.server && !self.has(Fault::CursorOutlivesItsServer);
        let is_reconnected = reader.is_reconnected && !self.has(Fault::CursorOutlivesItsServer);
        // Rows that were swept since then may have been missed.
        let is_too_old =
            reader.cursor_age >= KEPT - MARGIN && self.sweep && !self.has(Fault::SweptUnderAPausedReader);
        if reader.server == 0 || is_another || is_reconnected || is_too_old {
            state.memory.clear();
        } else if answer.named {
            state.memory.drop_named();
        }
        reader.server = answer.server;
        reader.cursor = answer.snapshot;
        reader.cursor_age = if self.sweep { age } else { 0 };
        reader.is_reconnected = false;
    }

    fn publish(&self, state: &mut State, age: u8, lease: u8) {
        if lease > 0 {
            let spent = if self.has(Fault::LeaseFromTheAnswer) {
                0
            } else {
                age
            };
            state.reader.left = lease.saturating_sub(spent);
        }
    }
}
