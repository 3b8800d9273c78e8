//! Lists: a table that fits a terminal, lines with tabs for other programs, JSON for programs that read JSON.

mod layout;
mod time;

use std::io::{IsTerminal, stdout};

use chrono::{DateTime, SecondsFormat, Utc};
use console::Term;
use serde::Serialize;

use super::{Failure, output};
use crate::domain_name::readable_address;
use crate::unseen;
pub(super) use layout::Column;
use layout::Layout;

/// A value in a list.
pub(super) enum Cell {
    Text(String),
    /// An address. On a terminal its domain is as people read it, elsewhere as it is stored.
    Address(String),
    /// A time. On a terminal as the span from or until now, elsewhere in full.
    Time(DateTime<Utc>),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<DateTime<Utc>> for Cell {
    fn from(at: DateTime<Utc>) -> Self {
        Self::Time(at)
    }
}

/// Prints rows, or says that there are none. The first column is the most important: a terminal that is too
/// narrow shows fewer of the last.
///
/// To another program go the values in full, each row a line with a tab between any two, and no headings.
pub(super) fn print<const N: usize>(
    columns: [Column; N],
    rows: Vec<[Cell; N]>,
    none: &str,
) -> Result<(), Failure> {
    if rows.is_empty() {
        output::note(none);
        return Ok(());
    }
    let text = match width() {
        Some(width) => {
            let rows: Vec<_> = rows.into_iter().map(|row| row.map(for_people)).collect();
            Layout::of(&columns, &rows, width).text(&columns, &rows)
        }
        None => rows
            .into_iter()
            .map(|row| row.map(for_programs).join("\t") + "\n")
            .collect(),
    };
    output::text(text.as_bytes())
}

/// Prints what is known of one thing, a line for each fact. To another program goes a tab between the name
/// and the value.
pub(super) fn print_facts(facts: Vec<(&str, String)>) -> Result<(), Failure> {
    let longest = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): (&str, String)| match width() {
        Some(_) => format!("{name:longest$}  {}\n", shown(&value)),
        None => format!("{name}\t{}\n", printable(&value)),
    };
    output::text(facts.into_iter().map(line).collect::<String>().as_bytes())
}

/// Prints one JSON value.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    output::line(serde_json::to_string_pretty(value).map_err(Failure::failed)?)
}

/// An address in a line for people.
pub(super) fn address(email: &str) -> String {
    if stdout().is_terminal() {
        shown(&readable_address(email))
    } else {
        email.to_owned()
    }
}

/// A time in UTC, to the second; on a terminal with the span from or until now.
pub(super) fn time(at: DateTime<Utc>) -> String {
    match width() {
        Some(_) => format!("{}, {}", time::between(at, Utc::now()), in_full(at)),
        None => in_full(at),
    }
}

/// The end of a span in UTC, to the second; on a terminal with the time that is left.
pub(super) fn until(at: DateTime<Utc>) -> String {
    let until = format!("until {}", in_full(at));
    let between = width().map(|_| time::between(at, Utc::now()));
    match between.as_deref().and_then(|words| words.strip_prefix("in ")) {
        Some(left) => format!("for {left}, {until}"),
        None => until,
    }
}

/// A name in a line for people. Names come from users: they must neither control the terminal nor reverse the text
/// beside them.
pub(super) fn shown(name: &str) -> String {
    let name = printable(name);
    if stdout().is_terminal() {
        unseen::isolated(name)
    } else {
        name
    }
}

/// How many columns the terminal has, if standard output is one.
fn width() -> Option<usize> {
    let known = || Term::stdout().size_checked().filter(|(_, columns)| *columns > 0);
    stdout()
        .is_terminal()
        .then(|| known().map_or(80, |(_, columns)| columns.into()))
}

fn for_people(cell: Cell) -> String {
    match cell {
        Cell::Text(text) => printable(&text),
        Cell::Address(email) => printable(&readable_address(&email)),
        // Only a word for a reader: nothing is decided by this machine's clock.
        Cell::Time(at) => time::between(at, Utc::now()),
    }
}

fn for_programs(cell: Cell) -> String {
    match cell {
        Cell::Text(text) | Cell::Address(text) => printable(&text),
        Cell::Time(at) => in_full(at),
    }
}

fn in_full(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Names come from users, and must not control the terminal.
fn printable(text: &str) -> String {
    unseen::written_out(text).into_owned()
}
