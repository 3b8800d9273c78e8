//! When sessions end, when addresses are locked, and how long the history is kept.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;

use super::reader::{Reader, given};
use crate::words::words;

/// How often activity is written down, unless sessions are too short for that.
const USUAL_THRESHOLD: Duration = Duration::from_secs(15 * 60);

/// Settings of sessions. Taken by `serve`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sessions")]
pub struct SessionSettings {
    /// A session ends after this long without activity
    #[arg(long, env = "ONESEAT_IDLE_TIMEOUT", value_name = "DURATION", default_value = "2h")]
    pub idle_timeout: String,

    /// Activity is written down at most this often [default: 15m, or half of --idle-timeout if that is
    /// shorter]
    #[arg(long, env = "ONESEAT_ACTIVITY_THRESHOLD", value_name = "DURATION")]
    pub activity_threshold: Option<String>,

    /// A session ends after this long, however active
    #[arg(long, env = "ONESEAT_MAX_LIFETIME", value_name = "DURATION", default_value = "12h")]
    pub max_lifetime: String,

    /// Pause between two sweeps of expired sessions
    #[arg(long, env = "ONESEAT_SWEEP_INTERVAL", value_name = "DURATION", default_value = "15m")]
    pub sweep_interval: String,

    /// A page's session ends this long after its page has gone without a word, such as a browser that was killed;
    /// 0: only its other limits end it
    #[arg(long, env = "ONESEAT_PAGE_GRACE", value_name = "DURATION", default_value = "60s")]
    pub page_grace: String,

    /// A token found valid is remembered for at most this long without another look at what has ended, and
    /// every end waits as long before it is confirmed: up to 2s, 0 to ask PostgreSQL each time. All instances
    /// go by that of the one that started last
    #[arg(long, env = "ONESEAT_VALIDATION_LEASE", value_name = "DURATION", default_value = "200ms")]
    pub validation_lease: String,

    /// Sessions that an instance remembers, at up to 700 bytes each
    #[arg(long, env = "ONESEAT_VALIDATION_CAPACITY", value_name = "N", default_value = "100000")]
    pub validation_capacity: String,

    /// What a sign-in does while its user has a live session: replace it at once, or ask first
    #[arg(long, env = "ONESEAT_TAKEOVER", value_name = "replace|ask", default_value = "replace")]
    pub takeover: String,

    /// Wrong passwords in a row that lock an address
    #[arg(long, env = "ONESEAT_MAX_FAILED_ATTEMPTS", value_name = "N", default_value = "5")]
    pub max_failed_attempts: String,

    /// How long an address stays locked
    #[arg(long, env = "ONESEAT_LOCKOUT", value_name = "DURATION", default_value = "15m")]
    pub lockout: String,
}

/// Settings of the history. Taken by `serve` and `sweep`.
#[derive(Args, Clone, Debug)]
pub struct HistorySettings {
    /// How long past sessions are kept
    #[arg(long, env = "ONESEAT_HISTORY_RETENTION", value_name = "DURATION", default_value = "30d")]
    pub history_retention: String,
}

/// How long ended sessions are remembered.
#[derive(Clone, Copy, Debug)]
pub struct HistoryPolicy {
    /// The time from the end of the session.
    pub retention: Duration,
}

/// How long a session lives (OWASP ASVS 7.3.1, 7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPolicy {
    /// A session ends after this long without activity.
    pub idle_timeout: Duration,
    /// Activity younger than this is not written down again; at most half the idle timeout.
    pub activity_threshold: Duration,
    /// A session ends this long after sign-in, however active; at least the idle timeout.
    pub max_lifetime: Duration,
}

impl SessionPolicy {
    /// The policy of commands, which do not know the servers' limits: each session ends as its row says.
    pub const AS_STORED: Self = Self {
        idle_timeout: CENTURIES,
        activity_threshold: CENTURIES,
        max_lifetime: CENTURIES,
    };
}

/// Longer than any session, and short enough to be added to a time.
const CENTURIES: Duration = Duration::from_secs(1_000 * 365 * 24 * 60 * 60);

/// For how long, and for how many sessions, an instance remembers validations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidationMemory {
    /// How long a validation may be remembered after the instance last asked what has ended. Zero: nothing is remembered.
    pub lease: Duration,
    /// The most sessions that are remembered.
    pub capacity: usize,
}

impl ValidationMemory {
    /// The longest lease: every end waits for it.
    const LONGEST: Duration = Duration::from_secs(2);
    /// A shorter lease would be over before the feed is read again.
    const SHORTEST: Duration = Duration::from_millis(20);

    /// How many sessions are remembered: without a lease, none.
    pub fn sessions(self) -> usize {
        if self.lease.is_zero() { 0 } else { self.capacity }
    }

    pub(super) fn read(reader: &mut Reader, settings: &SessionSettings) -> Option<Self> {
        let lease = reader.read("--validation-lease", &settings.validation_lease, |raw| {
            let lease = humantime::parse_duration(raw)
                .map_err(|_| "not a duration; write it like 200ms, 1s or 0".to_owned())?;
            if lease.is_zero() || (Self::SHORTEST..=Self::LONGEST).contains(&lease) {
                Ok(lease)
            } else {
                Err("must be between 20ms and 2s, or 0".to_owned())
            }
        });
        let capacity = reader.count(
            "--validation-capacity",
            &settings.validation_capacity,
            1..=100_000_000,
        );
        Some(Self {
            lease: lease?,
            capacity: capacity? as usize,
        })
    }
}

words! {
    /// What a sign-in does while its user has a live session.
    pub enum TakeoverPolicy {
        /// It takes the seat at once.
        Replace = "replace",
        /// It is refused, unless it says that it takes the seat.
        Ask = "ask",
    }
}

impl TakeoverPolicy {
    pub(super) fn read(reader: &mut Reader, settings: &SessionSettings) -> Option<Self> {
        reader.read("--takeover", &settings.takeover, str::parse)
    }
}

/// When an address is locked (OWASP ASVS 6.3.1).
#[derive(Clone, Copy, Debug)]
pub struct LockoutPolicy {
    /// 1 to 100 (NIST SP 800-63B-4, 3.2.2: at most 100).
    pub max_failed_attempts: i32,
    /// How long the address stays locked.
    pub duration: Duration,
}

impl SessionPolicy {
    pub(super) fn read(reader: &mut Reader, settings: &SessionSettings) -> Option<Self> {
        let idle = reader.duration("--idle-timeout", &settings.idle_timeout);
        let threshold = match given(&settings.activity_threshold) {
            Some(raw) => reader.duration("--activity-threshold", raw),
            None => Some(idle.map_or(USUAL_THRESHOLD, |idle| USUAL_THRESHOLD.min(idle / 2))),
        };
        let max = reader.duration("--max-lifetime", &settings.max_lifetime);
        let policy = Self {
            idle_timeout: idle?,
            activity_threshold: threshold?,
            max_lifetime: max?,
        };
        let (idle, max) = (settings.idle_timeout.trim(), settings.max_lifetime.trim());
        let threshold = settings.activity_threshold.as_deref().unwrap_or_default().trim();
        reader.require(
            policy.activity_threshold <= policy.idle_timeout / 2,
            &format!(
                "--activity-threshold `{threshold}` must be at most half of --idle-timeout `{idle}`, \
                 or activity would be noticed too late to count"
            ),
        );
        // One of the two may be the default, which the operator has not written.
        reader.require(
            policy.idle_timeout <= policy.max_lifetime,
            &format!(
                "--max-lifetime `{max}` must not be shorter than --idle-timeout `{idle}`: lengthen the one or shorten the other"
            ),
        );
        Some(policy)
    }
}

impl LockoutPolicy {
    pub(super) fn read(reader: &mut Reader, settings: &SessionSettings) -> Option<Self> {
        let attempts = reader.count("--max-failed-attempts", &settings.max_failed_attempts, 1..=100);
        let duration = reader.duration("--lockout", &settings.lockout);
        Some(Self {
            max_failed_attempts: i32::try_from(attempts?).unwrap_or(i32::MAX),
            duration: duration?,
        })
    }
}

impl HistoryPolicy {
    pub(super) fn read(reader: &mut Reader, settings: &HistorySettings) -> Option<Self> {
        let retention = reader.duration("--history-retention", &settings.history_retention);
        Some(Self {
            retention: retention?,
        })
    }
}

/// Reads the pause between two sweeps.
pub(super) fn sweep_interval(reader: &mut Reader, settings: &SessionSettings) -> Option<Duration> {
    reader.duration("--sweep-interval", &settings.sweep_interval)
}

/// Reads how long a page may be gone before its session ends. Zero: for ever.
pub(super) fn page_grace(reader: &mut Reader, settings: &SessionSettings) -> Option<Duration> {
    const ALLOWED: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 60 * 60);
    reader.read("--page-grace", &settings.page_grace, |raw| {
        let grace = humantime::parse_duration(raw)
            .map_err(|_| "not a duration; write it like 60s, 5m or 0".to_owned())?;
        if grace.is_zero() || ALLOWED.contains(&grace) {
            Ok(grace)
        } else {
            Err("must be between 10s and 1 day, or 0".to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::read;
    use super::*;

    #[test]
    fn the_grace_of_pages_may_be_off_and_is_never_shorter_than_a_page_takes_to_come_back() {
        let grace = |value: &str| {
            let flags = ["--database-url", "postgres://", "--page-grace", value];
            read(&flags).map(|(_, config)| config.page_grace)
        };
        assert_eq!(grace("0"), Ok(Duration::ZERO));
        assert_eq!(grace("5m"), Ok(Duration::from_secs(300)));
        for value in ["9s", "2d", "soon"] {
            assert!(grace(value).unwrap_err().to_string().contains(value));
        }
    }

    #[test]
    fn a_short_idle_timeout_is_enough_to_be_told() {
        let threshold = |flags: &[&str]| {
            let (_, config) = read(&[&["--database-url", "postgres://"], flags].concat()).unwrap();
            config.policy.sessions.activity_threshold.as_secs()
        };
        assert_eq!(threshold(&[]), 15 * 60);
        assert_eq!(threshold(&["--idle-timeout", "10m"]), 5 * 60);
        assert_eq!(
            threshold(&["--idle-timeout", "10m", "--activity-threshold", "1m"]),
            60
        );
    }

    #[test]
    fn a_takeover_is_asked_for_only_where_the_operator_says_so() {
        let takeover = |flags: &[&str]| {
            let (_, config) = read(&[&["--database-url", "postgres://"], flags].concat())?;
            Ok::<_, super::super::BadValues>(config.policy.takeover)
        };
        assert_eq!(takeover(&[]), Ok(TakeoverPolicy::Replace));
        assert_eq!(takeover(&["--takeover", "ask"]), Ok(TakeoverPolicy::Ask));
        let bad = takeover(&["--takeover", "never"]).unwrap_err().to_string();
        assert_eq!(bad, "--takeover `never`: must be replace or ask");
    }

    #[test]
    fn values_that_contradict_each_other_are_refused() {
        let bad = read(&["--idle-timeout", "13h", "--activity-threshold", "12h"]).unwrap_err();
        assert_eq!(bad.to_string().lines().count(), 2);
    }
}
