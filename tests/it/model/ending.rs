//! The session ends: the end is committed, the leases are waited out, and the end is reported.
//!
//! A validation that finds no session reports the end just as the transaction that ended it does. So it
//! waits, too: in every program that asks the database while others remember, older versions included.

use super::database::Transaction;
use super::scenario::{LEASE, MARGIN};
use super::{Fault, Scenario, State};

/// A transaction that ends the session in a program that knows no leases. A trigger takes a lock, reads the
/// current lease (not the one in the transaction's snapshot), and sleeps before the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Writer {
    Idle,
    /// Only with a fault: it has read the lease before it has the lock.
    Knows {
        lease: u8,
    },
    Locked,
    Sleeping {
        left: u8,
    },
    /// The commit is visible, and the lock still held.
    Committed,
}

/// The first to report the end: the one that wrote it, or a validation that found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Teller {
    Nobody,
    /// Only with a fault: the lease was read before the commit.
    Knows {
        lease: u8,
    },
    /// How many ticks ago the commit returned.
    Returned {
        ago: u8,
    },
    Waiting {
        left: u8,
    },
    Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Begin,
    Lock,
    ReadLease,
    Commit,
    Unlock,
    Return,
    AskLease,
    FindNoSession,
    Tell,
}

pub const STEPS: [Step; 9] = [
    Step::Begin,
    Step::Lock,
    Step::ReadLease,
    Step::Commit,
    Step::Unlock,
    Step::Return,
    Step::AskLease,
    Step::FindNoSession,
    Step::Tell,
];

impl Writer {
    pub fn holds_the_lock(self) -> bool {
        matches!(self, Self::Locked | Self::Sleeping { .. } | Self::Committed)
    }

    pub fn tick(&mut self) {
        if let Self::Sleeping { left } = self {
            *left = left.saturating_sub(1);
        }
    }
}

impl Teller {
    pub fn tick(&mut self) {
        match self {
            Self::Returned { ago } => *ago = (*ago + 1).min(LEASE + MARGIN),
            Self::Waiting { left } => *left = left.saturating_sub(1),
            Self::Nobody | Self::Knows { .. } | Self::Told => {}
        }
    }
}

impl Scenario {
    pub(super) fn ending_step(&self, state: &mut State, step: Step) -> Option<()> {
        match step {
            Step::Begin | Step::Commit => self.transaction_step(state, step),
            Step::Lock | Step::ReadLease | Step::Unlock => self.trigger_step(state, step),
            Step::Return | Step::AskLease | Step::FindNoSession | Step::Tell => self.tell_step(state, step),
        }
    }

    fn transaction_step(&self, state: &mut State, step: Step) -> Option<()> {
        let database = &mut state.database;
        database.end = match (step, database.end) {
            (Step::Begin, Transaction::None) => database.begin(),
            (Step::Commit, Transaction::Running { xid }) => {
                if self.unaware_writer {
                    if state.writer != (Writer::Sleeping { left: 0 }) {
                        return None;
                    }
                    state.writer = Writer::Committed;
                }
                Transaction::Committed { xid }
            }
            _ => return None,
        };
        Some(())
    }

    fn trigger_step(&self, state: &mut State, step: Step) -> Option<()> {
        let is_running = matches!(state.database.end, Transaction::Running { .. });
        let is_early = self.has(Fault::UnawareWriterReadsTheLeaseBeforeItsLock);
        let lease = state.database.longest_lease();
        let can_lock = self.unaware_writer && is_running && !state.reader.holds_the_lock();
        state.writer = match (step, state.writer) {
            (Step::ReadLease, Writer::Idle) if is_early && is_running => Writer::Knows { lease },
            (Step::Lock, Writer::Knows { lease }) if can_lock => Writer::Sleeping {
                left: self.wait(lease),
            },
            (Step::Lock, Writer::Idle) if can_lock && !is_early => Writer::Locked,
            (Step::ReadLease, Writer::Locked) => {
                let is_awake = self.has(Fault::UnawareWriterDoesNotSleep);
                let left = if is_awake { 0 } else { self.wait(lease) };
                Writer::Sleeping { left }
            }
            (Step::Unlock, Writer::Committed) => {
                // It knows of no lease to wait for.
                state.teller = Teller::Told;
                Writer::Idle
            }
            _ => return None,
        };
        Some(())
    }

    fn tell_step(&self, state: &mut State, step: Step) -> Option<()> {
        let end = state.database.end;
        let is_early = self.has(Fault::LeaseIsReadBeforeTheCommit);
        let wait = self.wait(state.database.longest_lease());
        state.teller = match (step, state.teller) {
            (Step::AskLease, Teller::Nobody) if is_early && matches!(end, Transaction::Running { .. }) => {
                let lease = state.database.longest_lease();
                Teller::Knows { lease }
            }
            (Step::Return, Teller::Knows { lease }) if end.is_committed() => Teller::Waiting {
                left: self.wait(lease),
            },
            (Step::Return, Teller::Nobody) if end.is_committed() && !self.unaware_writer => {
                if self.has(Fault::NoWait) {
                    Teller::Waiting { left: 0 }
                } else if self.changes == 0 {
                    // It does not matter when it asks.
                    Teller::Waiting { left: wait }
                } else {
                    Teller::Returned { ago: 0 }
                }
            }
            (Step::AskLease, Teller::Returned { ago }) => Teller::Waiting {
                left: wait.saturating_sub(ago),
            },
            (Step::FindNoSession, Teller::Nobody | Teller::Returned { .. }) if end.is_committed() => {
                let left = if self.has(Fault::NoIsToldAtOnce) { 0 } else { wait };
                Teller::Waiting { left }
            }
            (Step::Tell, Teller::Waiting { left: 0 }) => Teller::Told,
            _ => return None,
        };
        Some(())
    }
}
