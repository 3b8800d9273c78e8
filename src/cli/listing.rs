//! Which rows a list shows.

use std::io::{IsTerminal, stdout};

use clap::Args;

use super::{Failure, output};
use crate::auth;
use crate::auth::lists::{Cursor, LARGEST_PAGE, Page, Search};

/// Most rows on a terminal, unless more are asked for.
const ON_A_TERMINAL: usize = 100;

/// Which rows, and how.
#[derive(Args, Debug)]
pub(super) struct Listing {
    /// Only rows that show each of these words: in a name or address; of accounts also the beginning of a role (user)
    /// or state (locked), of sessions in a device, an IP address or a network
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// At most this many rows, or all [default: 100 on a terminal, else all]
    #[arg(long, value_name = "N", value_parser = limit)]
    limit: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Listing {
    /// The search that the flag asks for, or all rows.
    pub(super) fn search(&self) -> Search {
        self.search.as_deref().map_or(Search::All, Search::from)
    }

    /// The words for an empty list: these, unless something was searched for.
    pub(super) fn none<'a>(&self, words: &'a str) -> &'a str {
        if self.search.is_some() {
            "nothing is found"
        } else {
            words
        }
    }

    /// Most rows.
    pub(super) fn limit(&self) -> usize {
        let on_a_terminal = stdout().is_terminal() && !self.json;
        let usual = if on_a_terminal { ON_A_TERMINAL } else { usize::MAX };
        self.limit.unwrap_or(usual)
    }

    /// Says how many rows were left out.
    pub(super) fn tell_rest(&self, rest: usize) {
        if rest > 0 {
            let all = self.limit().saturating_add(rest);
            output::note(&format!("{rest} more: --limit {all}"));
        }
    }
}

/// Reads the rows of a list, page after page, up to this many. Returns also whether there are more.
pub(super) async fn rows<T, Asking>(
    ask: impl Fn(Option<Cursor>, i64) -> Asking,
    limit: usize,
) -> Result<(Vec<T>, bool), Failure>
where
    Asking: Future<Output = Result<Page<T>, auth::Error>>,
{
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let wanted = i64::try_from(limit - rows.len()).unwrap_or(LARGEST_PAGE);
        let page = ask(after, wanted.min(LARGEST_PAGE))
            .await
            .map_err(Failure::failed)?;
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() || rows.len() >= limit {
            return Ok((rows, after.is_some()));
        }
    }
}

fn limit(text: &str) -> Result<usize, &'static str> {
    match text.trim() {
        "all" => Ok(usize::MAX),
        number => match number.parse() {
            Ok(0) | Err(_) => Err("write a number from 1 on, or all"),
            Ok(rows) => Ok(rows),
        },
    }
}
