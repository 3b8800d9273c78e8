//! Validation from memory, as a model that is searched exhaustively.
//!
//! One session ends while an instance validates it from memory. Between any two steps of one process, all
//! other processes may take steps: a pause is a step that is not taken. Every reachable state is visited. In
//! none of them has a validation that began after the end was reported answered yes.
//!
//! - `scenario`: what may happen in a search, and the faults that can be planted.
//! - `clocks`: time, as each process sees it.
//! - `database`: the session, the feed, snapshots, the current lease; a server that is replaced by another.
//! - `reader`: an instance reads the feed and extends its lease.
//! - `memory`: an instance remembers answers, and answers from memory.
//! - `ending`: the end is committed, waited for and reported.
//! - `leases`: the lease in use is raised and lowered.
//! - `searches`: the protocol is right. `faults`: each part of it is needed.
//!
//! **One instance stands for all.** Instances share nothing but the database, where none writes what another
//! one's memory depends on. The process that ends the session, answers "no" or changes the lease has a clock
//! of its own, and stands for the other instances. **Only validations that begin after the end was reported
//! are followed**: validations change nothing, so earlier ones need no steps of their own.
//!
//! **Assumed, and not checked here**: a commit that was acknowledged survives a change of servers, and so
//! does the lease. Once a server is replaced, the old one may still answer validations (`memory`), but not
//! the reader's questions ([`Fault::ReplacedServerAnswersTheReader`]).

mod clocks;
mod database;
mod ending;
mod faults;
mod leases;
mod memory;
mod reader;
mod scenario;
mod searches;

use stateright::{Model, Property};

use clocks::{Clock, Clocks};
use database::Database;
use ending::{Teller, Writer};
use leases::Changer;
use memory::Memory;
use reader::Reader;
use scenario::{Fault, LEASE, Scenario};

/// The whole state at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    clocks: Clocks,
    database: Database,
    reader: Reader,
    memory: Memory,
    writer: Writer,
    teller: Teller,
    changer: Changer,
    /// How many more times connections, servers and leases may change.
    losses_left: u8,
    servers_left: u8,
    changes_left: u8,
}

/// One step of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Tick(Clock),
    Database(database::Step),
    Reader(reader::Step),
    Memory(memory::Step),
    Ending(ending::Step),
    Leases(leases::Step),
}

const NEVER: &str = "a dead token is accepted";

impl State {
    /// Nothing can go wrong any more: it already has, or no process remembers the session or answers "alive"
    /// any more.
    fn is_over(&self) -> bool {
        let is_told = self.teller == Teller::Told && !self.database.replaced_says_alive;
        self.memory.accepted_a_dead_token || is_told && self.memory.is_empty()
    }
}

impl Scenario {
    fn take(&self, state: &mut State, step: Step) -> Option<()> {
        match step {
            Step::Tick(clock) => self.tick(state, clock),
            Step::Database(step) => self.database_step(state, step),
            Step::Reader(step) => self.reader_step(state, step),
            Step::Memory(step) => self.memory_step(state, step),
            Step::Ending(step) => self.ending_step(state, step),
            Step::Leases(step) => self.lease_step(state, step),
        }
    }
}

impl Model for Scenario {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let leases = if self.changes > 0 {
            0..=LEASE
        } else {
            LEASE..=LEASE
        };
        let with = |lease| State {
            clocks: Clocks::default(),
            database: Database::new(lease),
            reader: Reader::default(),
            memory: Memory::default(),
            writer: Writer::Idle,
            teller: Teller::Nobody,
            changer: Changer::Idle,
            losses_left: self.losses,
            servers_left: self.servers,
            changes_left: self.changes,
        };
        leases.map(with).collect()
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if !state.is_over() {
            steps.extend([Clock::Instance, Clock::Waiting].map(Step::Tick));
            steps.extend(database::STEPS.map(Step::Database));
            steps.extend(reader::STEPS.map(Step::Reader));
            steps.extend(memory::STEPS.map(Step::Memory));
            steps.extend(ending::STEPS.map(Step::Ending));
            if self.changes > 0 {
                steps.extend(leases::STEPS.map(Step::Leases));
            }
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        self.take(&mut next, step)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always(NEVER, |_, state: &State| {
            !state.memory.accepted_a_dead_token
        })];
        properties.extend(searches::reached());
        properties
    }
}
