//! Parses every value and collects the errors, so that an operator who got three wrong is told about three.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::BadValues;

/// The longest duration accepted: far beyond any use, well within PostgreSQL's intervals.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Parses values and collects the errors.
#[derive(Default)]
pub(super) struct Reader {
    bad: Vec<String>,
}

impl Reader {
    pub(super) fn read<T>(
        &mut self,
        flag: &str,
        raw: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(raw.trim())
            .map_err(|wrong| self.bad.push(format!("{flag} `{}`: {wrong}", raw.trim())))
            .ok()
    }

    pub(super) fn duration(&mut self, flag: &str, raw: &str) -> Option<Duration> {
        self.read(flag, raw, |raw| {
            let duration = humantime::parse_duration(raw)
                .map_err(|_| "not a duration; write it like 90s, 15m or 2h".to_owned())?;
            if duration < Duration::from_secs(1) || duration > LONGEST {
                return Err("must be between 1s and 10 years".to_owned());
            }
            Ok(duration)
        })
    }

    /// Reads a value that may be left out.
    pub(super) fn read_given<T>(
        &mut self,
        flag: &str,
        raw: &Option<String>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match given(raw) {
            None => Some(None),
            Some(raw) => self.read(flag, raw, parse).map(Some),
        }
    }

    pub(super) fn count(&mut self, flag: &str, raw: &str, range: RangeInclusive<u32>) -> Option<u32> {
        self.read(flag, raw, |raw| match u32::from_str(raw) {
            Ok(count) if range.contains(&count) => Ok(count),
            _ => Err(format!(
                "must be a whole number from {} to {}",
                range.start(),
                range.end()
            )),
        })
    }

    /// Refuses values that are right alone and wrong together.
    pub(super) fn require(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.bad.push(otherwise.to_owned());
        }
    }

    /// Returns the configuration if no value was wrong.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, BadValues> {
        match read {
            Some(value) if self.bad.is_empty() => Ok(value),
            _ => Err(BadValues(self.bad)),
        }
    }
}

/// The value, unless it is empty: an environment variable that is set to nothing counts as not set.
pub(super) fn given(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

/// The parts of a comma-separated list.
pub(super) fn listed(raw: &str) -> impl Iterator<Item = &str> {
    raw.split(',').map(str::trim).filter(|part| !part.is_empty())
}
