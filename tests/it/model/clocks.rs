//! Time, as each process sees it.
//!
//! Those who wait share a clock. Nobody compares two of theirs, and a slower one is a faster one that pauses.
//! Clocks tick in rounds: in a round each ticks once, in any order. Between two moments the counts of two clocks
//! so differ by at most [`MARGIN`](super::scenario::MARGIN): that is the most by which clocks with rates 1 % apart
//! differ over a lease; finer steps are left out. No clock is stored: what counts is how much of
//! a lease or a wait is left, so that a search has no end of time.

use super::{Fault, Scenario, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The instance's that remembers.
    Instance,
    /// Everybody's who waits: to tell the end, to commit it, to clear the previous lease, to sweep the feed.
    Waiting,
}

/// Which clocks have ticked in this round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Clocks([bool; 2]);

impl Scenario {
    pub(super) fn tick(&self, state: &mut State, clock: Clock) -> Option<()> {
        let Clocks(ticked) = &mut state.clocks;
        if std::mem::replace(&mut ticked[clock as usize], true) {
            return None;
        }
        if *ticked == [true; 2] {
            *ticked = [false; 2];
        }
        match clock {
            Clock::Instance => {
                state.reader.tick(self.sweep);
                state.memory.tick();
            }
            Clock::Waiting => {
                state.teller.tick();
                state.writer.tick();
                state.changer.tick();
                if self.sweep {
                    let from_begin = self.has(Fault::SweptByTheTimeItWasWritten);
                    state.database.tick(from_begin);
                }
            }
        }
        Some(())
    }
}
