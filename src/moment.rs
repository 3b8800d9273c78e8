//! A moment by both clocks of the machine: the one that counts time since the start, and the wall clock.
//!
//! The first goes on while the machine sleeps (`CLOCK_BOOTTIME`), unlike [`std::time::Instant`]. It may stand
//! still while a virtual machine is paused or moved; then the wall clock jumps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
const CLOCK: nix::time::ClockId = nix::time::ClockId::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const CLOCK: nix::time::ClockId = nix::time::ClockId::CLOCK_MONOTONIC;

/// When something happened in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time since the machine started.
    boot: Duration,
    /// The time since 1970, by the wall clock, which can be set.
    wall: Duration,
}

impl Moment {
    /// Reads both clocks.
    pub fn now() -> Self {
        let boot = nix::time::clock_gettime(CLOCK).map_or(Duration::MAX, Duration::from);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        #[cfg(test)]
        let (boot, wall) = (boot + tests::passed(), wall + tests::passed());
        Self { boot, wall }
    }

    /// Is `self` less than `span` after `start`, by both clocks?
    pub fn is_within(self, span: Duration, start: Self) -> bool {
        let is_within =
            |start: Duration, now: Duration| now.checked_sub(start).is_some_and(|gone| gone < span);
        is_within(start.boot, self.boot) && is_within(start.wall, self.wall)
    }

    /// Is `self` not before `other`?
    pub fn is_from(self, other: Self) -> bool {
        self.boot >= other.boot
    }

    /// The time since `start`; zero if `start` is later.
    pub fn since(self, start: Self) -> Duration {
        self.boot.saturating_sub(start.boot)
    }
}

#[cfg(test)]
pub(crate) use tests::let_pass;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    /// Moves the clock of this thread forward, so that a test need not wait.
    pub(crate) fn let_pass(span: Duration) {
        PASSED.set(PASSED.get() + span);
    }

    pub(super) fn passed() -> Duration {
        PASSED.get()
    }

    const fn at(boot: u64, wall: u64) -> Moment {
        Moment {
            boot: Duration::from_millis(boot),
            wall: Duration::from_millis(wall),
        }
    }

    #[test]
    fn a_span_is_over_as_soon_as_one_clock_says_so() {
        let (start, span) = (at(1_000, 50_000), Duration::from_millis(200));
        assert!(at(1_199, 50_199).is_within(span, start));
        assert!(!at(1_200, 50_100).is_within(span, start));
        assert!(
            !at(1_100, 50_200).is_within(span, start),
            "the wall clock was set forward"
        );
        assert!(
            !at(1_100, 49_999).is_within(span, start),
            "the wall clock was set back"
        );
        assert!(!at(999, 50_000).is_within(span, start));
    }

    #[test]
    fn time_goes_on() {
        let (first, second) = (Moment::now(), Moment::now());
        assert!(second.is_from(first) && second.is_within(Duration::from_secs(3_600), first));
    }
}
