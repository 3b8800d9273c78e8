//! The current lease is in the database. An instance that starts with another value changes it.
//!
//! At every moment, the longer of `lease` and `previous` covers every lease under which an instance may still
//! remember. So a change stores the longer of the two as `previous`, unless the new lease is at least as
//! long. `previous` is cleared after a wait for it, with the margin, during which the lease was not changed.
//! It is not enough that the lease has the same value again.

use super::{Fault, Scenario, State};

/// Clears `previous`, once no instance remembers under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Changer {
    Idle,
    Waiting {
        left: u8,
        previous: u8,
        has_changed: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Change { lease: u8 },
    SeePrevious,
    ClearPrevious,
}

pub const STEPS: [Step; 5] = [
    Step::Change { lease: 0 },
    Step::Change { lease: 1 },
    Step::Change { lease: 2 },
    Step::SeePrevious,
    Step::ClearPrevious,
];

impl Changer {
    pub fn tick(&mut self) {
        if let Self::Waiting { left, .. } = self {
            *left = left.saturating_sub(1);
        }
    }
}

impl Scenario {
    pub(super) fn lease_step(&self, state: &mut State, step: Step) -> Option<()> {
        let database = &mut state.database;
        match (step, state.changer) {
            (Step::Change { lease }, _) if lease != database.lease => {
                state.changes_left = state.changes_left.checked_sub(1)?;
                let is_raised = lease > database.lease;
                let forgets_all = is_raised && self.has(Fault::RaisingForgetsPrevious);
                let forgets_older = !is_raised && self.has(Fault::LoweringForgetsPrevious);
                let longest = if forgets_older {
                    database.lease
                } else {
                    database.longest_lease()
                };
                database.previous = if forgets_all || lease >= longest {
                    0
                } else {
                    longest
                };
                database.lease = lease;
                if let Changer::Waiting { has_changed, .. } = &mut state.changer {
                    *has_changed = true;
                }
            }
            (Step::SeePrevious, _) if database.previous > 0 => {
                let previous = database.previous;
                let left = if self.has(Fault::PreviousIsNotWaitedFor) {
                    0
                } else if self.has(Fault::PreviousIsWaitedForWithoutMargin) {
                    previous
                } else {
                    self.wait(previous)
                };
                state.changer = Changer::Waiting {
                    left,
                    previous,
                    has_changed: false,
                };
            }
            (
                Step::ClearPrevious,
                Changer::Waiting {
                    left: 0,
                    previous,
                    has_changed,
                },
            ) => {
                let by_value = self.has(Fault::PreviousIsClearedByValue);
                if by_value && database.previous == previous || !has_changed {
                    database.previous = 0;
                }
                state.changer = Changer::Idle;
            }
            _ => return None,
        }
        Some(())
    }
}
