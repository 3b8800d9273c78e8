//! A limit for repeated lines. Warnings and errors of every crate pass here, because a stranger may cause one
//! with each request. The first of each place and those that say something new are written, the others
//! counted.
//!
//! The security log is not limited here: it has its own limit, which knows the client. Neither is anything
//! below a warning.

use chrono::{DateTime, Utc};
use log::kv::Value;
use log::{Level, Log, Metadata, Record};

use crate::auth::audit;
use crate::log_limit::{About, LogLimit, Sum, Verdict};
use crate::log_line;

/// Most bytes of a message that are compared, and told in a sum.
const SUBJECT_LENGTH: usize = 500;

/// The statement in the program that wrote the record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    target: String,
    level: Level,
    line: Option<u32>,
}

/// A log, and the counts of what it has not written.
pub(super) struct Limited<L> {
    log: L,
    limit: LogLimit<Place, String>,
}

impl<L: Log> Limited<L> {
    pub(super) fn new(log: L) -> Self {
        Self {
            log,
            limit: LogLimit::default(),
        }
    }

    fn log_at(&self, record: &Record<'_>, now: DateTime<Utc>) {
        let is_limited = record.level() <= Level::Warn && !audit::is_of_security(record.target());
        if !is_limited || !self.log.enabled(record.metadata()) {
            return self.log.log(record);
        }
        let place = Place {
            target: record.target().to_owned(),
            level: record.level(),
            line: record.line(),
        };
        let mut words = log_line::plain(record.args());
        words.truncate(words.floor_char_boundary(SUBJECT_LENGTH));
        if self.limit.count(place, None, words, now) == Verdict::Write {
            self.log.log(record);
        }
    }

    fn tell(&self, sum: Sum<Place, String>) {
        let [first, last] = sum.between();
        let words = match sum.about {
            About::One { subject, .. } => subject,
            About::Many { distinct, .. } => {
                let line = sum.kind.line.unwrap_or_default();
                format!("{distinct} other messages of line {line}")
            }
        };
        let fields = [
            ("count", Value::from(sum.count)),
            ("first", Value::from(first.as_str())),
            ("last", Value::from(last.as_str())),
        ];
        self.log.log(
            &Record::builder()
                .level(sum.kind.level)
                .target(&sum.kind.target)
                .key_values(&fields)
                .args(format_args!("{words}"))
                .build(),
        );
    }
}

impl<L: Log> Log for Limited<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.log.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.log_at(record, Utc::now());
    }

    fn flush(&self) {
        for sum in self.limit.sums() {
            self.tell(sum);
        }
        self.log.flush();
    }
}
