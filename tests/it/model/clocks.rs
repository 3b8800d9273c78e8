//! Time, as each process sees it.
//!
//! All processes that wait share a clock: no two of their times are ever compared, and a slower clock is a
//! faster one with a pause. Clocks tick in rounds: in a round each ticks once, in any order. So between two
//! moments the counts of two clocks differ by at most [`MARGIN`](super::scenario::MARGIN). That is the most
//! by which clocks with rates 1 % apart differ over a lease; finer steps are left out. No clock is stored:
//! only the rest of each lease or wait is, so that the number of states is finite.

use super::{Fault, Scenario, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The clock of the instance that remembers.
    Instance,
    /// The clock of all processes that wait: to report the end, to commit it, to clear the previous lease, to
    /// sweep the feed.
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
