//! Decides word by word what is kept.

use super::LEFT_OUT;

/// The fewest letters and digits of a key.
const KEY: usize = 16;

/// Punctuation around words.
const AROUND: [char; 27] = [
    '"', '\'', '`', '(', ')', '[', ']', '<', '>', '{', '}', ',', ';', ':', '.', '!', '?', '*', '«', '»', '„',
    '“', '”', '‚', '‘', '’', '|',
];

/// The kind of a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A word, a host name or a path.
    Plain,
    /// No letter and no digit: harmless, and separates no pieces.
    Mark,
    /// A number, hexadecimal digits, or no word: enough of these in a row are a key broken over several
    /// lines.
    Piece,
    /// Anything else: an address, a link, a key.
    Other,
}

/// The plain words of the line, with a mark for what was left out.
pub(super) fn plain(line: &str) -> String {
    let words = rejoined(line);
    let kinds: Vec<Kind> = words.iter().map(|word| kind(word)).collect();
    let is_left_out = left_out(&words, &kinds);
    let mut kept: Vec<&str> = Vec::new();
    for (word, is_left_out) in words.iter().zip(is_left_out) {
        let word = if is_left_out { LEFT_OUT } else { word };
        if word != LEFT_OUT || kept.last() != Some(&LEFT_OUT) {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// Rejoins words that quoted-printable has broken (a `=` at the end of a line, RFC 2045 6.7).
fn rejoined(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        match words.last_mut() {
            Some(last) if last.len() > 1 && last.ends_with('=') => {
                last.pop();
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Which words to leave out: those that are not plain, the pieces after them, and pieces in a row as long as
/// a key.
fn left_out(words: &[String], kinds: &[Kind]) -> Vec<bool> {
    let mut is_left_out: Vec<bool> = kinds.iter().map(|kind| *kind == Kind::Other).collect();
    let mut next = 0;
    while next < words.len() {
        let is_rest = next > 0 && kinds[next - 1] == Kind::Other;
        // A reply code precedes a text, and is no piece of it.
        let is_code = !is_rest && kinds[next] == Kind::Piece && is_reply_code(bare(&words[next]));
        let start = if is_code { next + 1 } else { next };
        let pieces = kinds[start..]
            .iter()
            .take_while(|kind| matches!(kind, Kind::Piece | Kind::Mark));
        let row = start..start + pieces.count();
        let length: usize = row.clone().map(|place| letters(&words[place])).sum();
        if is_rest || length >= KEY {
            is_left_out[row.clone()].fill(true);
        }
        next = row.end.max(next + 1);
    }
    is_left_out
}

fn kind(word: &str) -> Kind {
    let core = bare(word);
    if letters(word) == 0 && !word.contains('@') {
        Kind::Mark
    } else if !is_known(core) || has_key(core) {
        Kind::Other
    } else if is_piece(core) {
        Kind::Piece
    } else {
        Kind::Plain
    }
}

fn bare(word: &str) -> &str {
    word.trim_matches(AROUND)
}

fn letters(word: &str) -> usize {
    word.chars().filter(|c| c.is_alphanumeric()).count()
}

/// Has it only characters of words, numbers, host names and paths?
fn is_known(core: &str) -> bool {
    let is_known = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | ':' | '\'');
    let has_fine_slashes = core.starts_with('/') || !core.contains('/') || core.chars().count() < 8;
    core.chars().all(is_known) && !core.contains("//") && has_fine_slashes
}

/// Does it contain a run of key characters that is not made of words?
fn has_key(core: &str) -> bool {
    core.split(|c: char| !is_of_a_key(c))
        .any(|run| run.len() >= KEY && !run.split(['_', '-', '/']).all(is_word))
}

fn is_of_a_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/')
}

/// Letters of one case, or joined words, as in `HandshakeFailure`.
fn is_word(part: &str) -> bool {
    let bytes = part.as_bytes();
    let is_small = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_lowercase);
    // Random letters would hardly ever pass.
    let is_camel_case = bytes.iter().enumerate().all(|(place, byte)| {
        byte.is_ascii_lowercase() || byte.is_ascii_uppercase() && is_small(place + 1) && is_small(place + 2)
    });
    let is_hex = bytes.len() >= KEY && bytes.iter().all(u8::is_ascii_hexdigit);
    !is_hex && (is_camel_case || bytes.iter().all(u8::is_ascii_uppercase))
}

fn is_piece(core: &str) -> bool {
    let is_hex = core.bytes().all(|byte| byte.is_ascii_hexdigit());
    core.chars().all(is_of_a_key) && (is_hex || !core.split(['_', '-', '/']).all(is_word))
}

/// A reply code (RFC 5321 4.2.1).
fn is_reply_code(core: &str) -> bool {
    core.len() == 3 && core.bytes().all(|byte| byte.is_ascii_digit())
}
