//! What another program says, made fit for the log: mail servers, PostgreSQL, TLS, whatever this program starts.
//!
//! They quote what they were given. A mail server that refuses a mail may repeat it, with the link that lets its reader in, or the
//! credentials of the server that sent it; PostgreSQL names the values that it cannot take. So nothing is written as it comes. Plain
//! words, numbers (a reply code, an enhanced status code), names of hosts and paths are kept, on one line; everything else is left
//! out, and so is what nobody thought of.

mod people;
mod secrets;
mod words;

use unicode_normalization::UnicodeNormalization;

pub use secrets::Secrets;

/// Characters of it that are kept at most.
pub const MOST: usize = 200;

/// Bytes of it that are looked at: no more could be told, and a stranger does not decide how much work that is.
const LOOKED_AT: usize = 16 * 1024;

/// Stands for what was left out. No letter and no digit, which could be a secret by itself.
const LEFT_OUT: &str = "[...]";

/// The words of another program, fit for the log, where no secret is known that it could repeat.
pub fn cleaned(words: &str) -> String {
    Secrets::default().cleaned(words)
}

impl Secrets {
    /// The words of another program on one line, at most [`MOST`] characters, without addresses, links, keys and these secrets.
    pub fn cleaned(&self, words: &str) -> String {
        let line = on_one_line(beginning(words));
        cut(words::plain(&self.without_words(&self.taken_out_of(&line))))
    }
}

/// Whole words, as many as are looked at: half a secret would not be known for one.
fn beginning(words: &str) -> &str {
    if words.len() <= LOOKED_AT {
        return words;
    }
    let end = words.floor_char_boundary(LOOKED_AT);
    let whole = words[..end].rfind(char::is_whitespace).unwrap_or(0);
    &words[..whole]
}

/// Printable, in one spelling (wide and small forms are the letters that they stand for), words apart by single spaces.
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

/// The standard library escapes what is not: control characters, separators, what has no form or turns the direction of writing.
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
