//! An instance remembers that the session was alive, and answers from that.

use super::{Fault, Scenario, State, Teller};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    pub is_remembered: bool,
    pub fill: Fill,
    pub recall: Recall,
    pub accepted_a_dead_token: bool,
}

/// A validation that asks the database, and remembers a "yes".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fill {
    #[default]
    None,
    /// It has noted how many answers the reader had processed.
    Marked(Since),
    /// That server answered "alive".
    Alive { since: Since, server: u8 },
    /// Only with a fault: the mark was checked, and the answer is kept in a later step.
    Checked,
}

/// What the reader did since a fill was marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Since {
    /// It dropped the user.
    pub named: bool,
    /// It cleared everything.
    pub cleared: bool,
}

/// A validation that begins after the end was reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Recall {
    #[default]
    None,
    /// It has read how long memory is valid. `left` is the rest of that time.
    LeaseRead { left: u8 },
    /// It has found the session, too.
    Found { left: u8 },
    /// Only with a fault: it has found the session before it reads how long memory is valid.
    FoundFirst,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Mark,
    Answer { by_replaced: bool },
    Check,
    Keep,
    ReadLease,
    LookUp,
    Accept,
}

pub const STEPS: [Step; 8] = [
    Step::Mark,
    Step::Answer { by_replaced: false },
    Step::Answer { by_replaced: true },
    Step::Check,
    Step::Keep,
    Step::ReadLease,
    Step::LookUp,
    Step::Accept,
];

impl Memory {
    pub fn tick(&mut self) {
        if let Recall::LeaseRead { left } | Recall::Found { left } = &mut self.recall {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.recall = Recall::None;
            }
        }
    }

    pub fn clear(&mut self) {
        self.is_remembered = false;
        self.note(|since| since.cleared = true);
    }

    pub fn drop_named(&mut self) {
        self.is_remembered = false;
        self.note(|since| since.named = true);
    }

    /// Nothing is remembered, and no answer is under way that could be.
    pub fn is_empty(&self) -> bool {
        let is_asking = matches!(self.fill, Fill::Alive { .. } | Fill::Checked);
        !self.is_remembered && !is_asking && self.recall == Recall::None
    }

    fn note(&mut self, what: impl FnOnce(&mut Since)) {
        if let Fill::Marked(since) | Fill::Alive { since, .. } = &mut self.fill {
            what(since);
        }
    }
}

impl Scenario {
    pub(super) fn memory_step(&self, state: &mut State, step: Step) -> Option<()> {
        match step {
            Step::Mark | Step::Answer { .. } | Step::Check | Step::Keep => self.fill_step(state, step),
            Step::ReadLease | Step::LookUp | Step::Accept => self.recall_step(state, step),
        }
    }

    fn fill_step(&self, state: &mut State, step: Step) -> Option<()> {
        let is_slow = self.has(Fault::FillIsCheckedBeforeItIsKept);
        state.memory.fill = match (step, state.memory.fill) {
            (Step::Mark, Fill::None) if self.fills_in_one_step => {
                let server = state.database.server;
                if !state.database.says_alive(server) || state.memory.is_remembered {
                    return None;
                }
                state.memory.is_remembered |= self.may_be_kept(state, Since::default(), server);
                Fill::None
            }
            (Step::Mark, Fill::None) => Fill::Marked(Since::default()),
            (Step::Answer { by_replaced }, Fill::Marked(since)) => {
                let server = state.database.server.checked_sub(u8::from(by_replaced))?;
                if state.database.says_alive(server) {
                    Fill::Alive { since, server }
                } else if by_replaced {
                    return None;
                } else {
                    Fill::None
                }
            }
            (Step::Check, Fill::Alive { since, server }) if is_slow => {
                if self.may_be_kept(state, since, server) {
                    Fill::Checked
                } else {
                    Fill::None
                }
            }
            (Step::Keep, Fill::Alive { since, server }) if !is_slow => {
                state.memory.is_remembered |= self.may_be_kept(state, since, server);
                Fill::None
            }
            (Step::Keep, Fill::Checked) => {
                state.memory.is_remembered = true;
                Fill::None
            }
            _ => return None,
        };
        Some(())
    }

    fn may_be_kept(&self, state: &State, since: Since, server: u8) -> bool {
        (!since.named || self.has(Fault::FillIgnoresTheFeed))
            && (!since.cleared || self.has(Fault::FillOutlivesAClearing))
            && (server == state.reader.server || self.has(Fault::FillIgnoresItsServer))
    }

    fn recall_step(&self, state: &mut State, step: Step) -> Option<()> {
        let is_reversed = self.has(Fault::LeaseIsReadAfterTheLookup);
        let left = state.reader.left;
        let memory = &mut state.memory;
        memory.recall = match (step, memory.recall) {
            // The step that follows at once would ask the database, if no lease is left or nothing is
            // remembered.
            (Step::ReadLease, Recall::None) if state.teller == Teller::Told && left > 0 && !is_reversed => {
                Recall::LeaseRead { left }
            }
            (Step::LookUp, Recall::LeaseRead { left }) if memory.is_remembered => Recall::Found { left },
            (Step::LookUp, Recall::LeaseRead { .. }) => Recall::None,
            (Step::LookUp, Recall::None)
                if state.teller == Teller::Told && memory.is_remembered && is_reversed =>
            {
                Recall::FoundFirst
            }
            (Step::ReadLease, Recall::FoundFirst) if left > 0 => Recall::Found { left },
            // A tick ends a validation that has no lease left.
            (Step::Accept, Recall::Found { .. }) => {
                memory.accepted_a_dead_token = true;
                Recall::None
            }
            _ => return None,
        };
        Some(())
    }
}
