//! Parses every value and collects the errors, so that an operator who got three wrong is told about three.

use std::fmt;
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

/// What is wrong with a part of a value, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) remedy: String,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// Reads a comma-separated list.
///
/// # Errors
/// Every part that is wrong, in one sentence. Parts with the same remedy stand together before it.
pub(super) fn list<T>(raw: &str, read: impl Fn(&str) -> Result<T, Wrong>) -> Result<Vec<T>, String> {
    let (mut right, mut wrong): (Vec<T>, Vec<Wrong>) = (Vec::new(), Vec::new());
    for part in parts(raw) {
        match read(part) {
            Ok(value) => right.push(value),
            Err(error) => wrong.push(error),
        }
    }
    if wrong.is_empty() {
        Ok(right)
    } else {
        Err(all(wrong))
    }
}

/// The parts of a comma-separated list.
pub(super) fn parts(raw: &str) -> impl Iterator<Item = &str> {
    raw.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Two values that are read apart.
///
/// # Errors
/// All that are wrong, in one sentence.
pub(super) fn both<A, B>(one: Result<A, Wrong>, other: Result<B, Wrong>) -> Result<(A, B), String> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (one, other) => Err(all(one.err().into_iter().chain(other.err()).collect())),
    }
}

/// One sentence for all of them.
fn all(wrong: Vec<Wrong>) -> String {
    let mut remedies: Vec<Wrong> = Vec::new();
    for Wrong { what, remedy } in wrong {
        match remedies.iter_mut().find(|known| known.remedy == remedy) {
            Some(known) => known.what = format!("{}, {what}", known.what),
            None => remedies.push(Wrong { what, remedy }),
        }
    }
    let remedies: Vec<String> = remedies.iter().map(Wrong::to_string).collect();
    remedies.join("; ")
}
