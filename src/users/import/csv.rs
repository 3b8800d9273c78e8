//! CSV (RFC 4180), whose first line names the columns.

use std::io::{self, Read};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Terminator};

use super::jsonl::unknown;
use super::row::{Column, Values};
use super::{ImportedUser, Row};

/// Rows out of CSV, one after the other.
#[derive(Debug)]
pub struct CsvRows<R> {
    reader: Reader<R>,
    columns: Vec<Column>,
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
            .from_reader(input);
        let header = reader.headers().map_err(|error| error.to_string())?;
        let mut columns = Vec::new();
        for name in header {
            let name = name.trim_start_matches('\u{feff}').trim();
            let column: Column = name
                .parse()
                .map_err(|_: String| format!("line 1: the column {}", unknown(name)))?;
            if columns.contains(&column) {
                return Err(format!("line 1: the column {column} is there twice"));
            }
            columns.push(column);
        }
        if !columns.contains(&Column::Email) {
            return Err("line 1: there is no column email".to_owned());
        }
        Ok(Self { reader, columns })
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
        let mut record = ByteRecord::new();
        loop {
            return match self.reader.read_byte_record(&mut record) {
                Ok(false) => None,
                Ok(true) if is_blank(&record) => continue,
                Ok(true) => Some(Ok(Row {
                    line: record.position().map_or(0, csv::Position::line),
                    user: self.user(&record),
                })),
                Err(error) => Some(Err(match error.into_kind() {
                    ErrorKind::Io(error) => error,
                    kind => io::Error::other(format!("{kind:?}")),
                })),
            };
        }
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
            ("email,e-mail\n", "\"e-mail\" is none of"),
        ] {
            let error = CsvRows::new(text.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
