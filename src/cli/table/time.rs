//! Times as people say them.

use chrono::{DateTime, TimeDelta, Utc};

/// How long ago that was, or how long it is until then; a day that is far away is named.
pub(super) fn between(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let span = now - at;
    let Some(words) = span_of(span.abs()) else {
        return at.format("%Y-%m-%d").to_string();
    };
    match (words, span > TimeDelta::zero()) {
        (None, true) => "just now".to_owned(),
        (None, false) => "now".to_owned(),
        (Some(words), true) => format!("{words} ago"),
        (Some(words), false) => format!("in {words}"),
    }
}

/// The span in words. `None`: too long for words. `Some(None)`: too short for a number.
fn span_of(span: TimeDelta) -> Option<Option<String>> {
    // Rounded to the nearest.
    let (minutes, hours) = ((span.num_seconds() + 30) / 60, (span.num_minutes() + 30) / 60);
    let days = (span.num_hours() + 12) / 24;
    match (minutes, hours, days) {
        (0, ..) => Some(None),
        (1..90, ..) => Some(Some(format!("{minutes} min"))),
        (_, ..36, _) => Some(Some(format!("{hours} h"))),
        (.., ..60) => Some(Some(format!("{days} days"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_say_them() {
        let now: DateTime<Utc> = "2026-11-27T12:00:00Z".parse().unwrap();
        for (seconds, words) in [
            (0, "now"),
            (10, "just now"),
            (29, "just now"),
            (30, "1 min ago"),
            (240, "4 min ago"),
            (89 * 60, "89 min ago"),
            (90 * 60, "2 h ago"),
            (35 * 3600, "35 h ago"),
            (36 * 3600, "2 days ago"),
            (59 * 86_400, "59 days ago"),
            (60 * 86_400, "2026-09-28"),
            (-10, "now"),
            (-240, "in 4 min"),
            (-7200, "in 2 h"),
            (-3 * 86_400, "in 3 days"),
            (-90 * 86_400, "2027-02-25"),
        ] {
            assert_eq!(
                between(now - TimeDelta::seconds(seconds), now),
                words,
                "{seconds}"
            );
        }
    }
}
