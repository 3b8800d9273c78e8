//! Lists: a table for people, JSON for programs.

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Table, presets};
use serde::Serialize;

use super::{Failure, output};
use crate::domain_name::readable_address;
use crate::unseen;

/// Prints rows under their headings, or says that there are none.
pub(super) fn print<const N: usize>(
    headings: [&str; N],
    rows: Vec<[String; N]>,
    none: &str,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return output::line(none);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    output::line(table)
}

/// Prints one JSON value.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    output::line(serde_json::to_string_pretty(value).map_err(Failure::failed)?)
}

/// A time in UTC, to the second.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An address with its domain as people read it, for a cell.
pub(super) fn address(email: &str) -> String {
    readable_address(email).into_owned()
}

/// Names come from users, and must not control the terminal, nor turn the rest of its line around.
fn printable(text: &str) -> String {
    unseen::in_line(text).into_owned()
}
