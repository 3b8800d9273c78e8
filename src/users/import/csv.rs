//! CSV (RFC 4180), whose first line names the columns.

use std::io::{self, Read};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Terminator};

use super::row::{COLUMNS, Column, Values};
use super::{ImportedUser, Row};

/// The most bytes of a row. A quote that is not closed would make the rest of the file one value.
const LONGEST: usize = 16 * 1_024;

/// Rows out of CSV, one after the other. After one that is too long there is none: nobody knows where the next
/// begins.
#[derive(Debug)]
pub struct CsvRows<R> {
    reader: Reader<Fence<R>>,
    columns: Vec<Column>,
    is_over: bool,
}

/// Lets no more than one row through at a time.
#[derive(Debug)]
struct Fence<R> {
    input: R,
    left: usize,
}

impl<R: Read> Read for Fence<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left);
        if most == 0 {
            return Err(io::Error::other(format!(
                "the row is longer than {LONGEST} bytes: is a quote not closed? It and all after it were not read"
            )));
        }
        let read = self.input.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}

impl<R: Read> CsvRows<R> {
    /// Rows out of this.
    ///
    /// # Errors
    /// When the first line cannot be read, or names a column that is not known, or one twice, or no `email`.
    pub fn new(input: R) -> Result<Self, String> {
        // With a return before it, the reader would count the line as the one before. Values are trimmed anyway.
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(Fence { input, left: LONGEST });
        let header = reader.headers().map_err(|error| format!("line 1: {error}"))?;
        let mut columns = Vec::new();
        for (at, name) in header.iter().enumerate() {
            let name = name.trim_start_matches('\u{feff}').trim();
            let column: Column = name
                .parse()
                // Without a first line that names columns it is a value, such as a hash.
                .map_err(|_: String| {
                    format!("line 1: column {} is none of {}", at + 1, COLUMNS.join(", "))
                })?;
            if columns.contains(&column) {
                return Err(format!("line 1: the column {column} is there twice"));
            }
            columns.push(column);
        }
        if !columns.contains(&Column::Email) {
            return Err("line 1: there is no column email".to_owned());
        }
        Ok(Self {
            reader,
            columns,
            is_over: false,
        })
    }

    /// Reads the next record that is not blank.
    fn row(&mut self, record: &mut ByteRecord) -> Option<io::Result<Row>> {
        loop {
            self.reader.get_mut().left = LONGEST;
            let read = self.reader.read_byte_record(record);
            let line = record.position().map_or(0, csv::Position::line);
            return match read {
                Ok(false) => None,
                Ok(true) if is_blank(record) => continue,
                Ok(true) => {
                    let last = self.reader.position().line().saturating_sub(1).max(line);
                    let user = self.user(record).map_err(|reason| match last - line {
                        0 => reason,
                        _ => format!("{reason} (it goes on to line {last}: is a quote not closed?)"),
                    });
                    Some(Ok(Row { line, user }))
                }
                Err(error) => Some(Err(match error.into_kind() {
                    ErrorKind::Io(error) => io::Error::new(error.kind(), format!("line {line}: {error}")),
                    kind => io::Error::other(format!("{kind:?}")),
                })),
            };
        }
    }

    fn user(&self, record: &ByteRecord) -> Result<ImportedUser, String> {
        if record.len() != self.columns.len() {
            let (found, named) = (record.len(), self.columns.len());
            return Err(format!(
                "the row has {found} values, and the first line names {named}"
            ));
        }
        let mut values = Values::default();
        for (column, value) in self.columns.iter().zip(record) {
            let text = str::from_utf8(value).map_err(|_| format!("{column} is not UTF-8"))?;
            values.set(*column, text.into())?;
        }
        values.user()
    }
}

impl<R: Read> Iterator for CsvRows<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let row = self.row(&mut ByteRecord::new());
        self.is_over = matches!(row, None | Some(Err(_)));
        row
    }
}

fn is_blank(record: &ByteRecord) -> bool {
    record.len() == 1 && record.iter().all(|value| value.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_columns_that_the_first_line_names() {
        let text = "\u{feff}hash,email,name,verified\r\n,ada@x.org,\"Ada, \"\"A\"\"\nLovelace\",t\r\n,eva@x.org,Eva\n\r\n,bob@x.org,,f\r\n";
        let rows: Vec<Row> = CsvRows::new(text.as_bytes())
            .unwrap()
            .map(|row| row.unwrap())
            .collect();
        // A name of two lines is none.
        assert!(rows[0].user.as_ref().unwrap_err().starts_with("name must be"));
        assert!(
            rows[1]
                .user
                .as_ref()
                .unwrap_err()
                .starts_with("the row has 3 values")
        );
        let bob = rows[2].user.as_ref().unwrap();
        assert_eq!((bob.name.as_str(), bob.email_verified), ("bob", false));
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4, 6]);
    }

    #[test]
    fn a_first_line_that_is_not_understood_is_refused() {
        for (text, words) in [
            ("", "no column email"),
            ("name\nAda\n", "no column email"),
            ("email,email\n", "twice"),
            ("email,$2b$10$canary\n", "line 1: column 2 is none of email,"),
        ] {
            let error = CsvRows::new(text.as_bytes()).unwrap_err();
            assert!(error.contains(words) && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_and_swallows_nothing_in_silence() {
        let rows = |text: &str| -> Vec<_> { CsvRows::new(text.as_bytes()).unwrap().collect() };
        let open = "email,name\nada@x.org,Ada\neva@x.org,\"Eva\n";
        // It ends with the file, or at the next quote.
        for rest in ["bob@x.org,Bob\n", "bob@x.org,\"Bob\"\nian@x.org,Ian\n"] {
            let found = rows(&format!("{open}{rest}"));
            let refused = found[1].as_ref().unwrap().user.as_ref().unwrap_err();
            assert!(
                refused.ends_with("(it goes on to line 4: is a quote not closed?)"),
                "{refused}"
            );
        }
        let long = format!("{open}{}", "bob@x.org,Bob\n".repeat(10_000));
        let found = rows(&long);
        assert!(found[0].as_ref().unwrap().user.is_ok());
        let error = found[1].as_ref().unwrap_err().to_string();
        assert!(
            error.starts_with("line 3: the row is longer than 16384 bytes: is a quote"),
            "{error}"
        );
        assert_eq!(found.len(), 2);
    }
}
