//! JSON lines: one object on each line.

use std::io::{self, BufRead, Read};

use serde_json::error::Category;
use serde_json::{Map, Value};

use super::row::{COLUMNS, Column, NOT_UTF_8, Values};
use super::{ImportedUser, Row};

/// The most bytes of a line. A longer one is refused, and its rest is passed over.
const LONGEST: usize = 16 * 1_024;

/// The most characters that an error repeats of an unknown name.
const MOST_REPEATED: usize = 40;

/// The rows of JSON lines, one after the other.
#[derive(Debug)]
pub struct JsonRows<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> JsonRows<R> {
    /// Reads the rows of this input.
    pub fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    /// Reads a line, and cuts one that is too long. `None` at the end of the input.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let bound = LONGEST as u64 + 1;
        if (&mut self.input).take(bound).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        if line.len() > LONGEST && !line.ends_with(b"\n") {
            self.skip_line()?;
        }
        Ok(Some(line))
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (read, is_over) = (buffer.len(), buffer.is_empty() || end.is_some());
            self.input.consume(end.map_or(read, |end| end + 1));
            if is_over {
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> Iterator for JsonRows<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.line().transpose()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            // Some editors and spreadsheets begin a file with a byte order mark.
            let text = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&line);
            if !text.trim_ascii().is_empty() {
                let user = user(text);
                return Some(Ok(Row {
                    line: self.line,
                    user,
                }));
            }
        }
    }
}

fn user(line: &[u8]) -> Result<ImportedUser, String> {
    if line.len() > LONGEST {
        return Err(format!("the line is longer than {LONGEST} bytes"));
    }
    let text = str::from_utf8(line).map_err(|_| format!("the line is {NOT_UTF_8}"))?;
    if !text.trim_start().starts_with('{') {
        return Err("the line is no JSON object: it must begin with {".to_owned());
    }
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| in_words(&error))?;
    let mut values = Values::default();
    for (name, value) in object {
        let column: Column = name.parse().map_err(|_: String| unknown(&name))?;
        values.set(column, value)?;
    }
    values.user()
}

/// Says where the JSON is wrong, and repeats nothing of it: a hash may be there.
fn in_words(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Eof => {
            "the line is not a whole JSON object: is a quote or a brace not closed? Each object has one line"
                .to_owned()
        }
        _ => format!(
            "the line is no JSON: something is wrong at column {}",
            error.column()
        ),
    }
}

/// The error for an unknown name. It is not ignored: a misspelt name would make an account that lacks the
/// value.
fn unknown(name: &str) -> String {
    let name: String = name.chars().take(MOST_REPEATED).collect();
    format!("{name:?} is none of {}", COLUMNS.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, Result<String, String>)> {
        let rows = JsonRows::new(text.as_bytes()).map(|row| row.unwrap());
        rows.map(|row| (row.line, row.user.map(|user| user.email.to_string())))
            .collect()
    }

    #[test]
    fn each_line_is_a_row_and_a_bad_one_holds_up_no_other() {
        let long = format!("{{\"email\":\"{}\"}}", "x".repeat(3 * LONGEST));
        let text = format!(
            "\u{feff}{{\"email\":\"ada@x.org\"}}\r\n\n[]\n{{\"email\":\"eva@x.org\",\"verifed\":true}}\n{long}\nnull\n\
             {{\"name\":\"N\"}}\n{{\"email\":5}}\n  {{\"email\":\" Bob@x.org\",\"name\":\"\",\"hash\":null}}"
        );
        let rows = rows(&text);
        let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 6, 7, 8, 9]);
        let users: Vec<_> = rows.iter().filter_map(|(_, user)| user.as_deref().ok()).collect();
        assert_eq!(users, ["ada@x.org", "bob@x.org"]);
        let words = rows[2].1.as_ref().unwrap_err();
        assert!(
            words.starts_with("\"verifed\" is none of email, name,"),
            "{words}"
        );
    }

    #[test]
    fn a_line_that_is_not_utf_8_says_so_and_what_to_do() {
        let refused = user(b"{\"email\":\"a@x.org\",\"name\":\"Zo\xeb\"}").unwrap_err();
        assert_eq!(refused, "the line is not UTF-8: save the file as UTF-8");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_hash() {
        for (line, words) in [
            (
                "{\"email\":\"a@x.org\",\"hash\":\"canary$canary\"}",
                "cannot be read",
            ),
            ("{\"email\":\"a@x.org\",\"hash\":[\"canary\"]}", "must be text"),
            (
                "{\"email\":\"a@x.org\",\"hash\":\"canary",
                "is a quote or a brace not closed",
            ),
            ("{\"email\":\"a@x.org\" \"hash\":\"canary\"}", "at column 20"),
            ("[\"canary\"]", "must begin with {"),
            ("canary", "must begin with {"),
            (
                "{\"email\":\"a@x.org\",\"hash\":\"$2b$31$canarycanarycanarycanarycanarycanarycanarycanarycanar\"}",
                "more memory or passes",
            ),
            ("{\"email\":\"a@x.org\",\"role\":\"canary\"}", "role"),
            ("{\"email\":\"a@x.org\",\"verified\":\"canary\"}", "true or false"),
        ] {
            let error = user(line.as_bytes()).unwrap_err();
            assert!(error.contains(words) && !error.contains("canary"), "{error}");
        }
    }
}
