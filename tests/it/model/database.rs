//! The database: one session, and a feed that names its user once it has ended.
//!
//! A row of the feed is kept for some time after it became visible. The row's own timestamp cannot be used
//! for that: it is the time of the statement, and the transaction may take longer than rows are kept.

use super::{Fault, Scenario, State, Writer};

/// The least number of ticks for which a row of the feed is kept.
pub const KEPT: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transaction {
    None,
    Running {
        xid: u8,
    },
    /// The row of this transaction is in the feed.
    Committed {
        xid: u8,
    },
    /// The row is not in the feed yet, or no longer.
    Past,
}

impl Transaction {
    pub fn is_committed(self) -> bool {
        matches!(self, Self::Committed { .. } | Self::Past)
    }
}

/// A snapshot: it sees the transactions that were begun before `next` and no longer run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Snapshot {
    next: u8,
    /// One bit for each transaction.
    running: u8,
}

impl Snapshot {
    fn sees(self, xid: u8) -> bool {
        xid < self.next && self.running & (1 << xid) == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Database {
    /// The server's identity. A server with another identity starts with an empty feed.
    pub server: u8,
    next_xid: u8,
    pub end: Transaction,
    bystander: Transaction,
    /// For how many ticks the row of the end has been there, up to [`KEPT`].
    row_age: u8,
    pub lease: u8,
    /// The longer lease under which an instance may still remember; 0 is none.
    pub previous: u8,
    /// The replaced server would still answer "alive".
    pub replaced_says_alive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    BystanderBegins,
    BystanderCommits,
    Sweep,
    Replace {
        running_survives: bool,
        xids_restart: bool,
    },
}

pub const STEPS: [Step; 7] = [
    Step::BystanderBegins,
    Step::BystanderCommits,
    Step::Sweep,
    replace(false, false),
    replace(false, true),
    replace(true, false),
    replace(true, true),
];

const fn replace(running_survives: bool, xids_restart: bool) -> Step {
    Step::Replace {
        running_survives,
        xids_restart,
    }
}

impl Database {
    pub fn new(lease: u8) -> Self {
        Self {
            server: 1,
            next_xid: 1,
            end: Transaction::None,
            bystander: Transaction::None,
            row_age: 0,
            lease,
            previous: 0,
            replaced_says_alive: false,
        }
    }

    pub fn begin(&mut self) -> Transaction {
        self.next_xid += 1;
        Transaction::Running {
            xid: self.next_xid - 1,
        }
    }

    pub fn snapshot(&self, scenario: &Scenario) -> Snapshot {
        let both = [self.end, self.bystander];
        if scenario.has(Fault::HighestIdInsteadOfSnapshot) {
            let seen = both.map(|one| {
                if let Transaction::Committed { xid } = one {
                    xid
                } else {
                    0
                }
            });
            return Snapshot {
                next: seen[0].max(seen[1]) + 1,
                running: 0,
            };
        }
        let bits = both.map(|one| {
            if let Transaction::Running { xid } = one {
                1 << xid
            } else {
                0
            }
        });
        Snapshot {
            next: self.next_xid,
            running: bits[0] | bits[1],
        }
    }

    /// Whether the feed names the user now, and did not in that snapshot.
    pub fn names_since(&self, cursor: Snapshot) -> bool {
        matches!(self.end, Transaction::Committed { xid } if !cursor.sees(xid))
    }

    /// The answer of that server to a validation: is the session alive?
    pub fn says_alive(&self, server: u8) -> bool {
        if server == self.server {
            !self.end.is_committed()
        } else {
            self.replaced_says_alive
        }
    }

    /// The longest lease under which any instance may remember.
    pub fn longest_lease(&self) -> u8 {
        self.lease.max(self.previous)
    }

    pub fn tick(&mut self, from_begin: bool) {
        let written = matches!(self.end, Transaction::Running { .. }) && from_begin;
        if written || matches!(self.end, Transaction::Committed { .. }) {
            self.row_age = KEPT.min(self.row_age + 1);
        }
    }

    fn replace(&mut self, running_survives: bool, xids_restart: bool) {
        self.replaced_says_alive = !self.end.is_committed();
        self.server += 1;
        self.end = match self.end {
            Transaction::Committed { .. } | Transaction::Past => Transaction::Past,
            // The end was durable, but was acknowledged to nobody.
            Transaction::Running { .. } if running_survives => Transaction::Past,
            Transaction::None | Transaction::Running { .. } => Transaction::None,
        };
        self.bystander = Transaction::None;
        self.row_age = 0;
        if xids_restart {
            self.next_xid = 1;
        }
    }
}

impl Scenario {
    pub(super) fn database_step(&self, state: &mut State, step: Step) -> Option<()> {
        let database = &mut state.database;
        match (step, database.bystander) {
            (Step::BystanderBegins, Transaction::None) if self.bystander => {
                database.bystander = database.begin();
            }
            (Step::BystanderCommits, Transaction::Running { xid }) => {
                database.bystander = Transaction::Committed { xid };
            }
            (Step::BystanderBegins | Step::BystanderCommits, _) => return None,
            (Step::Sweep, _) => {
                let is_old = self.sweep && database.row_age == KEPT;
                if !is_old || !matches!(database.end, Transaction::Committed { .. }) {
                    return None;
                }
                database.end = Transaction::Past;
                database.row_age = 0;
            }
            (
                Step::Replace {
                    running_survives,
                    xids_restart,
                },
                _,
            ) => {
                state.servers_left = state.servers_left.checked_sub(1)?;
                let is_running = matches!(database.end, Transaction::Running { .. });
                if running_survives && !is_running {
                    return None;
                }
                database.replace(running_survives, xids_restart);
                state.reader.lose_a_question_under_way();
                state.writer = Writer::Idle;
            }
        }
        Some(())
    }
}
