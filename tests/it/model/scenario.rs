//! What may happen in a search.

/// The longest lease, in ticks.
pub const LEASE: u8 = 2;

/// The margin that is waited beyond a lease. Two clocks differ by at most this much over any wait
/// ([`clocks`](super::clocks)).
pub const MARGIN: u8 = 2;

/// What may happen besides reading, remembering, ending and reporting.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// The one mistake in the protocol.
    pub fault: Option<Fault>,
    /// The end is written by a program that knows no leases, or by hand: a trigger waits in its place.
    pub unaware_writer: bool,
    /// Another transaction leaves a row in the feed, too.
    pub bystander: bool,
    /// How many times the reader's connection is lost.
    pub losses: u8,
    /// How many times the server is replaced by another one.
    pub servers: u8,
    /// How many times the lease changes.
    pub changes: u8,
    /// Old rows of the feed are removed.
    pub sweep: bool,
    /// A validation that asks the database does so without a pause. Other searches cover the pause.
    pub fills_in_one_step: bool,
}

/// A mistake in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    NoWait,
    WaitWithoutMargin,
    NoIsToldAtOnce,
    LeaseFromTheAnswer,
    PublishedBeforeDropped,
    HighestIdInsteadOfSnapshot,
    CursorOutlivesItsServer,
    FillIgnoresTheFeed,
    FillIgnoresItsServer,
    FillOutlivesAClearing,
    FillIsCheckedBeforeItIsKept,
    LeaseIsReadAfterTheLookup,
    LeaseIsReadBeforeTheCommit,
    PreviousIsNotWaitedFor,
    PreviousIsWaitedForWithoutMargin,
    PreviousIsClearedByValue,
    RaisingForgetsPrevious,
    LoweringForgetsPrevious,
    UnawareWriterDoesNotSleep,
    UnawareWriterReadsTheLeaseBeforeItsLock,
    SnapshotBeforeTheLock,
    SweptUnderAPausedReader,
    SweptByTheTimeItWasWritten,
    ReplacedServerAnswersTheReader,
}

impl Scenario {
    pub fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// How long an end is held back, in ticks of the clock of the process that waits.
    pub fn wait(&self, lease: u8) -> u8 {
        if self.has(Fault::WaitWithoutMargin) {
            lease
        } else {
            lease + MARGIN
        }
    }
}
