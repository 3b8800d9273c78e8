//! Cleans the words of other programs for the log: mail servers, PostgreSQL, TLS, child processes.
//!
//! They quote their input. A mail server that refuses a mail may repeat it, with its secret link or the
//! sender's credentials; PostgreSQL quotes values that it refuses. So nothing is logged as it comes. Plain
//! words, numbers (a reply code, an enhanced status code), host names and paths are kept, on one line;
//! everything else is left out, also what was not foreseen.

mod people;
mod secrets;
mod words;

use unicode_normalization::UnicodeNormalization;

pub use secrets::Secrets;

/// The most characters kept.
pub const MOST: usize = 200;

/// The most bytes examined: longer words would be cut anyway, and strangers must not decide the amount of
/// work.
const LOOKED_AT: usize = 16 * 1024;

/// Stands for what was left out. It has no letter or digit, which could be a secret by itself.
const LEFT_OUT: &str = "[...]";

/// Cleans the words of another program that knows no secret of ours.
pub fn cleaned(words: &str) -> String {
    Secrets::default().cleaned(words)
}

impl Secrets {
    /// Cleans the words of another program: one line, at most [`MOST`] characters, without addresses, links,
    /// keys and these secrets.
    pub fn cleaned(&self, words: &str) -> String {
        let line = on_one_line(beginning(words));
        let line = self.taken_out_of(&self.with_recipient_marked(&line));
        cut(self.with_recipient_told(words::plain(&self.without_words(&line))))
    }
}

/// The beginning of the words, cut between two words: half a secret would not be recognised.
fn beginning(words: &str) -> &str {
    if words.len() <= LOOKED_AT {
        return words;
    }
    let end = words.floor_char_boundary(LOOKED_AT);
    let whole = words[..end].rfind(char::is_whitespace).unwrap_or(0);
    &words[..whole]
}

/// Printable characters in one spelling (NFKC turns wide and small forms into plain letters), with single
/// spaces.
fn on_one_line(words: &str) -> String {
    let spelled: String = words
        .nfkc()
        .filter_map(|c| match c {
            _ if c.is_whitespace() => Some(' '),
            _ if is_printable(c) => Some(c),
            _ => None,
        })
        .collect();
    spelled.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The standard library escapes unprintable characters: controls, separators, formatting and writing
/// direction.
fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

fn cut(words: String) -> String {
    if words.chars().count() <= MOST {
        return words;
    }
    let mark = "...";
    let kept: String = words.chars().take(MOST - mark.len()).collect();
    kept + mark
}

#[cfg(test)]
mod tests;
