//! Times on a page.

use chrono::{DateTime, SecondsFormat, Utc};

/// A time in two forms: for the script, and for people who read the page without it.
pub(super) struct Moment(pub(super) DateTime<Utc>);

impl Moment {
    pub(super) fn rfc3339(&self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    pub(super) fn in_words(&self) -> String {
        self.0.format("%-d %B %Y, %H:%M UTC").to_string()
    }
}
