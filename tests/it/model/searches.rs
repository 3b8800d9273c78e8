//! The protocol is right whatever happens, and the situations that the searches are for do occur.

use std::time::Instant;

use stateright::{Checker, Model, Property};

use super::ending::{Teller, Writer};
use super::memory::Fill;
use super::{NEVER, Scenario, State};

const REMEMBERED: &str = "the session is accepted from memory";
const STILL_REMEMBERED: &str = "memory still accepts the session while its end waits";
const TOLD: &str = "the end is told";
const GOOD_AGAIN: &str = "memory is good again after the end was told";
const OVERTAKEN: &str = "a fill comes too late";
const REPLACED: &str = "the reader notices another server";
const FOREIGN: &str = "a fill comes from another server than the reader's";
const VETOED: &str = "a question is refused a lease";
const SLEEPING: &str = "a writer sleeps while memory is good";
const OUTLIVED: &str = "a longer lease than the one in use is not over";

impl State {
    fn remembers(&self) -> bool {
        self.memory.is_remembered && self.reader.left > 0
    }
}

/// What a search must come across, if its scenario allows it.
pub(super) fn reached() -> Vec<Property<Scenario>> {
    vec![
        Property::sometimes(REMEMBERED, |_, state: &State| {
            state.remembers() && !state.database.end.is_committed()
        }),
        Property::sometimes(STILL_REMEMBERED, |_, state: &State| {
            state.remembers() && matches!(state.teller, Teller::Waiting { .. })
        }),
        Property::sometimes(TOLD, |_, state: &State| state.teller == Teller::Told),
        Property::sometimes(GOOD_AGAIN, |_, state: &State| {
            state.teller == Teller::Told && state.reader.left > 0
        }),
        Property::sometimes(
            OVERTAKEN,
            |_, state: &State| matches!(state.memory.fill, Fill::Alive { since, .. } if since.named),
        ),
        Property::sometimes(REPLACED, |_, state: &State| state.reader.server > 1),
        Property::sometimes(
            FOREIGN,
            |_, state: &State| matches!(state.memory.fill, Fill::Alive { server, .. } if state.reader.server > server),
        ),
        Property::sometimes(VETOED, |_, state: &State| state.reader.is_refused_a_lease()),
        Property::sometimes(SLEEPING, |_, state: &State| {
            state.remembers() && matches!(state.writer, Writer::Sleeping { .. })
        }),
        Property::sometimes(OUTLIVED, |_, state: &State| {
            state.remembers() && state.reader.left > state.database.lease
        }),
    ]
}

/// Visits every state. `but` lists what the scenario leaves out.
#[track_caller]
fn search(scenario: Scenario, but: &[&str]) {
    let begun = Instant::now();
    let checker = scenario.checker().spawn_bfs().join();
    assert!(checker.is_done());
    let found = checker.discoveries();
    println!(
        "{} states, {} steps, {} deep, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed()
    );
    if let Some(path) = found.get(NEVER) {
        panic!("{NEVER}: {:#?}", path.clone().into_actions());
    }
    for property in reached() {
        let is_found = found.contains_key(property.name);
        assert_eq!(is_found, !but.contains(&property.name), "{}", property.name);
    }
}

#[test]
fn no_dead_token_is_accepted() {
    search(
        Scenario::default(),
        &[REPLACED, FOREIGN, VETOED, SLEEPING, OUTLIVED],
    );
}

#[test]
fn no_dead_token_is_accepted_beside_other_writers() {
    let scenario = Scenario {
        bystander: true,
        ..Scenario::default()
    };
    search(scenario, &[REPLACED, FOREIGN, VETOED, SLEEPING, OUTLIVED]);
}

#[test]
fn no_dead_token_is_accepted_when_connections_are_lost() {
    let scenario = Scenario {
        losses: 2,
        ..Scenario::default()
    };
    search(scenario, &[REPLACED, FOREIGN, VETOED, SLEEPING, OUTLIVED]);
}

#[test]
fn no_dead_token_is_accepted_when_the_server_is_another_one() {
    let scenario = Scenario {
        servers: 1,
        ..Scenario::default()
    };
    search(scenario, &[VETOED, SLEEPING, OUTLIVED]);
}

#[test]
fn no_dead_token_is_accepted_after_a_writer_that_knows_no_leases() {
    let scenario = Scenario {
        unaware_writer: true,
        ..Scenario::default()
    };
    search(scenario, &[STILL_REMEMBERED, REPLACED, FOREIGN, OUTLIVED]);
}

#[test]
fn no_dead_token_is_accepted_while_the_lease_changes() {
    let scenario = Scenario {
        changes: 2,
        fills_in_one_step: true,
        ..Scenario::default()
    };
    search(scenario, &[OVERTAKEN, REPLACED, FOREIGN, SLEEPING]);
}

#[test]
fn no_dead_token_is_accepted_while_old_rows_are_swept() {
    let scenario = Scenario {
        sweep: true,
        ..Scenario::default()
    };
    search(scenario, &[REPLACED, FOREIGN, VETOED, SLEEPING, OUTLIVED]);
}

#[test]
fn no_dead_token_is_accepted_after_such_a_writer_while_the_lease_changes() {
    let scenario = Scenario {
        unaware_writer: true,
        changes: 1,
        fills_in_one_step: true,
        ..Scenario::default()
    };
    search(
        scenario,
        &[STILL_REMEMBERED, GOOD_AGAIN, OVERTAKEN, REPLACED, FOREIGN],
    );
}

#[test]
fn no_dead_token_is_accepted_after_such_a_writer_when_the_server_is_another_one() {
    let scenario = Scenario {
        unaware_writer: true,
        servers: 1,
        fills_in_one_step: true,
        ..Scenario::default()
    };
    search(scenario, &[OVERTAKEN, FOREIGN, OUTLIVED]);
}
