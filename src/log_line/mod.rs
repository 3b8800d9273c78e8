//! Writes each record as one line, whatever it holds and whichever crate wrote it.
//!
//! Characters that could start a line, move a cursor, or reverse the reading direction are escaped, and text
//! that is too long is cut with a mark. Both formats do so here, so that no caller has to think of it.

mod panic;

use std::fmt::{self, Write as _};

use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::Value as Json;

use crate::request_id::RequestId;

pub(crate) use panic::log_panic;

/// Longest message, in bytes as written. With all of its fields a line stays below the 48 KiB at which a
/// journal cuts it.
const LONGEST_MESSAGE: usize = 24 * 1024;
/// Longest value of one field, in bytes as written: the longest user agent fits.
const LONGEST_VALUE: usize = 2 * 1024;
/// Longest name of a field or a target, in characters.
const LONGEST_NAME: usize = 100;
/// Most fields that a record may have.
const MOST_FIELDS: usize = 10;

/// A record for people: its message, then `key=value`.
pub(crate) fn words(record: &Record<'_>) -> String {
    let mut words = plain(record.args());
    for Field { name, value, .. } in fields(record, Form::Quoted) {
        // A value must start neither a line nor another field.
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
        let is_plain = !value.is_empty() && value.chars().all(is_plain);
        let written = match is_plain {
            true => write!(words, " {name}={value}"),
            false => write!(words, " {name}={value:?}"),
        };
        // Writing to a String never fails.
        debug_assert!(written.is_ok());
    }
    if let Some(id) = RequestId::current() {
        words.push_str(" requestId=");
        words.push_str(id.as_str());
    }
    words
}

/// A record as one JSON object. Numbers are numbers, everything else is text.
pub(crate) fn json(time: String, record: &Record<'_>) -> String {
    let message = cut(record.args(), Form::Json, LONGEST_MESSAGE);
    let mut pairs: Vec<(String, Json)> = vec![
        ("time".to_owned(), time.into()),
        ("level".to_owned(), record.level().as_str().into()),
        ("target".to_owned(), name(record.target()).into()),
        ("message".to_owned(), message.into()),
    ];
    let request = RequestId::current().map(|id| ("requestId".to_owned(), id.as_str().into()));
    for Field { name, value, number } in fields(record, Form::Json) {
        // No field replaces one of the line's own, nor another field.
        let is_taken = |(taken, _): &(String, Json)| *taken == name;
        if !pairs.iter().chain(&request).any(is_taken) {
            pairs.push((name, number.map_or_else(|| value.into(), Json::from)));
        }
    }
    pairs.extend(request);
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{}:{value}", Json::from(name)))
        .collect();
    printable(&format!("{{{}}}", pairs.join(",")))
}

/// A text on one line, for people.
pub(crate) fn plain(text: &dyn fmt::Display) -> String {
    cut(text, Form::Plain, LONGEST_MESSAGE)
}

/// A target or the name of a field, as one word.
pub(crate) fn name(text: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\' | '[' | ']');
    text.chars().filter(is_plain).take(LONGEST_NAME).collect()
}

/// One field of a record.
struct Field {
    name: String,
    value: String,
    /// The value, if it is a number.
    number: Option<u64>,
}

fn fields(record: &Record<'_>, form: Form) -> Vec<Field> {
    struct Fields(Vec<Field>, Form);
    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            if self.0.len() < MOST_FIELDS {
                self.0.push(Field {
                    name: name(key.as_str()),
                    number: value.to_u64(),
                    value: cut(&value, self.1, LONGEST_VALUE),
                });
            }
            Ok(())
        }
    }
    let mut fields = Fields(Vec::new(), form);
    // Our values never fail, and a line with less is better than none.
    let _ = record.key_values().visit(&mut fields);
    fields.0
}

/// How a text is written.
#[derive(Clone, Copy)]
enum Form {
    /// As it is, but what is not printable is escaped at once.
    Plain,
    /// Between quotes, escaped later by Rust's own rules.
    Quoted,
    /// As a JSON string, escaped later.
    Json,
}

impl Form {
    /// The bytes that a character takes.
    fn cost(self, c: char) -> usize {
        match self {
            Self::Plain | Self::Json if is_printable(c) && !matches!(c, '"' | '\\') => c.len_utf8(),
            Self::Plain | Self::Quoted => c.escape_debug().map(char::len_utf8).sum(),
            Self::Json => 6 * c.len_utf16(),
        }
    }
}

/// The beginning of a text, and the length of all of it. Keeps no more than is written.
struct Beginning {
    form: Form,
    kept: String,
    room: usize,
    bytes: usize,
    is_whole: bool,
}

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes += text.len();
        for c in text.chars() {
            let cost = self.form.cost(c);
            self.is_whole &= cost <= self.room;
            if !self.is_whole {
                break;
            }
            self.room -= cost;
            match self.form {
                Form::Plain if !is_printable(c) => self.kept.extend(c.escape_debug()),
                Form::Plain | Form::Quoted | Form::Json => self.kept.push(c),
            }
        }
        Ok(())
    }
}

fn cut(text: &dyn fmt::Display, form: Form, longest: usize) -> String {
    let mut beginning = Beginning {
        form,
        kept: String::new(),
        room: longest,
        bytes: 0,
        is_whole: true,
    };
    // If formatting fails, what came before is written.
    let _ = write!(beginning, "{text}");
    match beginning {
        Beginning {
            kept, is_whole: true, ..
        } => kept,
        Beginning { kept, bytes, .. } => format!("{kept} ... (cut, {bytes} bytes in all)"),
    }
}

/// Escapes what is not printable. JSON may hold most of it as it is, but not every program that splits or
/// shows lines can handle that. Outside of strings there is nothing of the kind.
fn printable(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_printable(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

/// Whether a character looks like what it is, in its place. Control characters, separators of lines and
/// paragraphs, marks of direction and characters without a form do not.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    // The standard library knows them. After a letter it leaves accents alone, which are parts of it.
    let text = ['a', c];
    let escaped = text.iter().collect::<String>();
    escaped.escape_debug().count() == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of them starts a line somewhere, moves a cursor, or reverses the reading direction.
    const BAD: [char; 20] = [
        '\n',
        '\u{b}',
        '\u{c}',
        '\r',
        '\0',
        '\u{8}',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{61c}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2066}',
        '\u{2069}',
        '\u{e0001}',
    ];

    fn with_record<T>(message: &str, value: &str, look: impl FnOnce(&Record<'_>) -> T) -> T {
        let fields = [(value, value), ("value", value), ("time", "never")];
        look(
            &Record::builder()
                .target(value)
                .key_values(&fields)
                .args(format_args!("{message}"))
                .build(),
        )
    }

    #[test]
    fn whatever_a_record_holds_it_is_one_line_of_what_is_seen() {
        let all: String = BAD.iter().collect();
        let evil = format!("one{all}two");
        let human = with_record(&evil, &evil, |record| {
            format!("{} {}", name(record.target()), words(record))
        });
        let json = with_record(&evil, &evil, |record| json("now".to_owned(), record));
        for line in [&human, &json] {
            assert!(!line.contains(BAD) && line.lines().count() == 1, "{line:?}");
        }
        assert!(
            human.contains(r"one\n\u{b}\u{c}\r\0\u{8}\u{1b}\u{7f}\u{85}"),
            "{human}"
        );
        // Nothing of it is lost to a program.
        let read: Json = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (read["message"].as_str(), read["value"].as_str()),
            (Some(&*evil), Some(&*evil))
        );
        assert_eq!(
            (&read["time"], &read["target"]),
            (&"now".into(), &"onetwo".into())
        );
    }

    #[test]
    fn what_people_read_is_left_alone() {
        let fine = "Zoë «déjà» – 東京 हिन्दी 🙂 it's \"quoted\" \\ <b>";
        let human = with_record(fine, "x", words);
        assert!(human.starts_with(fine), "{human}");
        let json = with_record("x", fine, |record| json("now".to_owned(), record));
        assert!(json.contains("Zoë «déjà» – 東京 हिन्दी 🙂"), "{json}");
    }

    #[test]
    fn a_record_has_ten_fields_at_most() {
        let fields = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"].map(|name| (name, 1));
        let told = |fields: &[(&str, i32)]| {
            let record = Record::builder()
                .key_values(&fields)
                .args(format_args!("x"))
                .build();
            words(&record)
        };
        let ten = "x a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1";
        assert_eq!([told(&fields[..10]), told(&fields)], [ten; 2]);
    }

    #[test]
    fn a_record_of_a_megabyte_is_cut_with_a_mark() {
        for letter in ["x", "\n", "\"", "\u{e0001}", "é"] {
            let long = letter.repeat((1 << 20) / letter.len());
            let human = with_record(&long, &long, words);
            let json = with_record(&long, &long, |record| json("now".to_owned(), record));
            for line in [&human, &json] {
                assert!((8_000..48_000).contains(&line.len()), "{}", line.len());
                assert_eq!(line.matches("(cut, 1048576 bytes in all)").count(), 3, "{line}");
                assert_eq!(line.lines().count(), 1);
            }
            assert!(serde_json::from_str::<Json>(&json).is_ok());
        }
    }
}
