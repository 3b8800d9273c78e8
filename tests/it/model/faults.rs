//! Each part of the protocol is needed: without it, a dead token is accepted.

use stateright::{Checker, HasDiscoveries, Model};

use super::{Fault, NEVER, Scenario};

/// Fails unless the fault is found. Depth first is quick; breadth first would find the shortest way to it.
#[track_caller]
fn accepts_a_dead_token(scenario: Scenario) {
    let checker = scenario
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    assert!(checker.discovery(NEVER).is_some());
}

macro_rules! faults {
    ($($name:ident: $fault:ident { $($field:ident: $value:expr),* })*) => {$(
        #[test]
        fn $name() {
            accepts_a_dead_token(Scenario { fault: Some(Fault::$fault), $($field: $value,)* ..Scenario::default() });
        }
    )*};
}

faults! {
    without_the_wait_a_dead_token_is_accepted: NoWait {}
    without_the_margin_a_dead_token_is_accepted: WaitWithoutMargin {}
    a_no_that_is_told_at_once_is_not_the_last_word: NoIsToldAtOnce {}
    a_lease_counts_from_the_question: LeaseFromTheAnswer {}
    the_named_are_dropped_before_the_lease_is_extended: PublishedBeforeDropped {}
    the_highest_id_is_no_cursor: HighestIdInsteadOfSnapshot { bystander: true }
    a_cursor_means_nothing_to_another_server: CursorOutlivesItsServer { servers: 1 }
    a_fill_looks_at_the_feed: FillIgnoresTheFeed {}
    a_fill_of_another_server_is_not_kept: FillIgnoresItsServer { servers: 1 }
    a_fill_does_not_outlive_a_clearing: FillOutlivesAClearing {}
    a_fill_is_checked_and_kept_in_one_step: FillIsCheckedBeforeItIsKept {}
    a_recall_reads_the_lease_before_it_looks_up: LeaseIsReadAfterTheLookup {}
    the_lease_is_asked_after_the_commit: LeaseIsReadBeforeTheCommit { changes: 1, fills_in_one_step: true }
    a_lowered_lease_is_waited_for: PreviousIsNotWaitedFor { changes: 1, fills_in_one_step: true }
    a_lowered_lease_is_waited_for_with_a_margin: PreviousIsWaitedForWithoutMargin { changes: 1, fills_in_one_step: true }
    only_the_previous_lease_that_was_waited_for_is_cleared: PreviousIsClearedByValue { changes: 3, fills_in_one_step: true }
    a_raise_keeps_a_longer_previous_lease: RaisingForgetsPrevious { changes: 2, fills_in_one_step: true }
    lowering_keeps_a_longer_previous_lease: LoweringForgetsPrevious { changes: 2, fills_in_one_step: true }
    a_writer_that_knows_no_leases_sleeps: UnawareWriterDoesNotSleep { unaware_writer: true, fills_in_one_step: true }
    it_reads_the_lease_under_its_lock: UnawareWriterReadsTheLeaseBeforeItsLock { unaware_writer: true, changes: 1, fills_in_one_step: true }
    a_question_takes_its_lock_before_its_snapshot: SnapshotBeforeTheLock { unaware_writer: true, fills_in_one_step: true }
    a_paused_reader_clears_what_may_have_been_swept: SweptUnderAPausedReader { sweep: true, fills_in_one_step: true }
    rows_are_swept_by_the_time_they_became_visible: SweptByTheTimeItWasWritten { sweep: true, fills_in_one_step: true }
    a_replaced_server_has_to_be_fenced: ReplacedServerAnswersTheReader { servers: 1 }
}
