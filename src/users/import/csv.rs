//! CSV (RFC 4180), whose first line names the columns. Spreadsheets write semicolons instead of commas where
//! numbers have a decimal comma; some programs write tabs.

use std::fmt::Display;
use std::io::{self, BufRead, Chain, Cursor, Read};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Terminator};

use super::row::{COLUMNS, Column, NOT_UTF_8, Values};
use super::{ImportedUser, Row};

/// The most bytes of a row. A quote that is not closed would make the rest of the file one value.
const LONGEST: usize = 16 * 1_024;

/// The rows of CSV, one after the other. A row that is too long is the last one: nobody knows where the next
/// begins.
#[derive(Debug)]
pub struct CsvRows<R> {
    reader: Reader<Fence<Chain<Cursor<Vec<u8>>, R>>>,
    columns: Vec<Column>,
    is_over: bool,
}

/// Limits the bytes that are read for one row.
#[derive(Debug)]
struct Fence<R> {
    input: R,
    left: usize,
    /// How many bytes were read, and the last of them.
    read: (u64, u8),
}

impl<R: Read> Read for Fence<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left);
        if most == 0 {
            return Err(io::Error::other(format!(
                "the row is longer than {LONGEST} bytes: is a quote not closed? This row and all after it are not imported"
            )));
        }
        let read = self.input.read(&mut buffer[..most])?;
        self.left -= read;
        if let Some(last) = buffer[..read].last() {
            self.read = (self.read.0 + read as u64, *last);
        }
        Ok(read)
    }
}

impl<R: BufRead> CsvRows<R> {
    /// Reads the first line, and then the rows of this input.
    ///
    /// # Errors
    /// When the first line cannot be read, names an unknown column, names a column twice, or does not name
    /// `email`.
    pub fn new(mut input: R) -> Result<Self, String> {
        let in_words = |error: &dyn Display| format!("line 1: {error}");
        // A pipe may bring the first line in pieces.
        let mut first = Vec::new();
        let mut bounded = input.by_ref().take(LONGEST as u64);
        bounded
            .read_until(b'\n', &mut first)
            .map_err(|error| in_words(&error))?;
        if is_utf_16(&first) {
            return Err(in_words(&format_args!("the file is {NOT_UTF_8}")));
        }
        let delimiter = delimiter(&first);
        let input = Cursor::new(first).chain(input);
        // A line ends with `\n` alone. If a carriage return counted as well, the reader would give a line the
        // number of the one before.
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(Fence {
                input,
                left: LONGEST,
                read: (0, b'\n'),
            });
        let header = reader.byte_headers().map_err(|error| in_words(&wrong(error)))?;
        let mut columns = Vec::new();
        for (at, name) in header.iter().enumerate() {
            let at = at + 1;
            let name = str::from_utf8(name).map_err(|_| format!("line 1: column {at} is {NOT_UTF_8}"))?;
            let column: Column = name
                .trim_start_matches('\u{feff}')
                .trim()
                .parse()
                // Do not repeat the name: if the first line names no columns, it is a value, such as a hash.
                .map_err(|_: String| {
                    format!(
                        "line 1 must name the columns, and its column {at} is none of {}",
                        COLUMNS.join(", ")
                    )
                })?;
            if columns.contains(&column) {
                return Err(format!("line 1: the column {column} is there twice"));
            }
            columns.push(column);
        }
        if !columns.contains(&Column::Email) {
            return Err("line 1 must name the columns: there is no column email".to_owned());
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
                    let (line, last) = self.lines(record);
                    let is_open = record.iter().any(|value| value.contains(&b'\n'));
                    let user = self.user(record).map_err(|reason| match last - line {
                        0 if is_open => format!("is a quote not closed? ({reason})"),
                        0 => reason,
                        _ => format!("the row goes on to line {last}: is a quote not closed? ({reason})"),
                    });
                    Some(Ok(Row { line, user }))
                }
                Err(error) => {
                    let error = wrong(error);
                    Some(Err(io::Error::new(error.kind(), format!("line {line}: {error}"))))
                }
            };
        }
    }

    /// The first and the last line of the record that was read last. The reader's own first line is that of empty lines
    /// before it.
    fn lines(&self, record: &ByteRecord) -> (u64, u64) {
        let next = self.reader.position();
        let (read, last_byte) = self.reader.get_ref().read;
        let is_at_end = next.byte() == read;
        let last = match is_at_end && last_byte != b'\n' {
            true => next.line(),
            false => next.line().saturating_sub(1),
        };
        // A quote that is open at the end of the file takes the last line break, which ends the line, into the value.
        let is_open = is_at_end
            && record
                .iter()
                .next_back()
                .is_some_and(|value| value.ends_with(b"\n"));
        let breaks = record.iter().flatten().filter(|byte| **byte == b'\n').count() - usize::from(is_open);
        (last.saturating_sub(breaks as u64), last)
    }

    fn user(&self, record: &ByteRecord) -> Result<ImportedUser, String> {
        if record.len() != self.columns.len() {
            let (found, named) = (record.len(), self.columns.len());
            let values = if found == 1 { "value" } else { "values" };
            return Err(format!(
                "the row has {found} {values}, and the first line names {named}"
            ));
        }
        let mut values = Values::default();
        for (at, (column, value)) in self.columns.iter().zip(record).enumerate() {
            let is_last = at + 1 == record.len();
            // The carriage return at the end of a line of Windows.
            let value = value.strip_suffix(b"\r").filter(|_| is_last).unwrap_or(value);
            let text = str::from_utf8(value).map_err(|_| format!("{column} is {NOT_UTF_8}"))?;
            values.set(*column, text.into())?;
        }
        values.user()
    }
}

impl<R: BufRead> Iterator for CsvRows<R> {
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

/// The delimiter: the one of three characters that the first line has most often.
fn delimiter(line: &[u8]) -> u8 {
    let count = |sign: u8| line.iter().filter(|byte| **byte == sign).count();
    // If several are equally frequent, `max_by_key` takes the last: the comma.
    [b'\t', b';', b',']
        .into_iter()
        .max_by_key(|sign| count(*sign))
        .unwrap_or(b',')
}

/// Whether it begins with the byte order mark of UTF-16, as some programs write it.
fn is_utf_16(beginning: &[u8]) -> bool {
    beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff")
}

/// The I/O error in an error of the CSV reader. There is no other kind: rows may have any number of values,
/// and are read as bytes.
fn wrong(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
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
        // A name must not have two lines.
        assert!(rows[0].user.as_ref().unwrap_err().contains("(name must be"));
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
            ("email,$2b$10$canary\n", "its column 2 is none of email,"),
            ("email;nom\n", "its column 2 is none of email,"),
        ] {
            let error = CsvRows::new(text.as_bytes()).unwrap_err();
            assert!(error.contains(words) && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn semicolons_and_tabs_stand_between_values_as_commas_do() {
        for text in [
            "\u{feff}email;name;role\r\nada@x.org;\"Ada; A, B\";admin\r\n",
            "email\tname\trole\nada@x.org\tAda; A, B\tadmin\n",
            "email,name,role\nada@x.org,\"Ada; A, B\",admin\n",
        ] {
            let rows: Vec<Row> = CsvRows::new(text.as_bytes())
                .unwrap()
                .map(|row| row.unwrap())
                .collect();
            let ada = rows[0].user.as_ref().unwrap();
            assert_eq!(
                (ada.name.as_str(), ada.role.as_str()),
                ("Ada; A, B", "admin"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_row_after_empty_lines_has_its_own_number() {
        for (text, lines) in [
            ("email,name\nada@x.org,Ada\n\n\neva@x.org\n", vec![2, 5]),
            ("email,name\nada@x.org,Ada\n\n\neva@x.org", vec![2, 5]),
            ("email,name\n\nada@x.org,\"A\nda\"\n\neva@x.org\n\n", vec![3, 6]),
            ("email,name\r\n\r\nada@x.org\r\n\r\neva@x.org", vec![3, 5]),
        ] {
            let rows: Vec<Row> = CsvRows::new(text.as_bytes())
                .unwrap()
                .map(|row| row.unwrap())
                .collect();
            assert_eq!(
                rows.iter().map(|row| row.line).collect::<Vec<_>>(),
                lines,
                "{text:?}"
            );
            let last = rows.last().unwrap().user.as_ref().unwrap_err();
            assert_eq!(
                last, "the row has 1 value, and the first line names 2",
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_line_of_windows_ends_with_its_last_value() {
        for name in ["Ada", "\"Ada\""] {
            let text = format!("email,name\r\nada@x.org,{name}\r\neva@x.org,{name}\r\n");
            let rows: Vec<Row> = CsvRows::new(text.as_bytes())
                .unwrap()
                .map(|row| row.unwrap())
                .collect();
            let names = rows.iter().map(|row| row.user.as_ref().unwrap().name.as_str());
            assert_eq!(names.collect::<Vec<_>>(), ["Ada", "Ada"], "{text}");
            assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 3]);
        }
    }

    #[test]
    fn a_pipe_may_bring_one_byte_at_a_time() {
        let text = "email;name;role\nada@x.org;\"Ada, A\";admin\n";
        let pipe = io::BufReader::with_capacity(1, text.as_bytes());
        let rows: Vec<Row> = CsvRows::new(pipe).unwrap().map(|row| row.unwrap()).collect();
        assert_eq!(rows[0].user.as_ref().unwrap().name.as_str(), "Ada, A");
        // A first line without an end is not read on for ever.
        let endless = io::BufReader::new(io::repeat(b'a'));
        assert!(CsvRows::new(endless).unwrap_err().contains("longer than"));
    }

    #[test]
    fn a_file_that_is_not_utf_8_says_so_with_the_line_and_what_to_do() {
        let latin_1 = b"email,name\nada@x.org,Ada\nzoe@x.org,Zo\xeb\n";
        let rows: Vec<Row> = CsvRows::new(&latin_1[..])
            .unwrap()
            .map(|row| row.unwrap())
            .collect();
        assert!(rows[0].user.is_ok());
        assert_eq!(rows[1].line, 3);
        assert_eq!(
            rows[1].user.as_ref().unwrap_err(),
            "name is not UTF-8: save the file as UTF-8"
        );
        let utf_16 = b"\xff\xfee\0m\0a\0i\0l\0";
        for (text, words) in [
            (&utf_16[..], "the file is not UTF-8"),
            (b"\xe9mail\n", "column 1 is not UTF-8"),
        ] {
            let error = CsvRows::new(text).unwrap_err();
            assert!(error.starts_with(&format!("line 1: {words}")), "{error}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_and_swallows_nothing_in_silence() {
        let rows = |text: &str| -> Vec<_> { CsvRows::new(text.as_bytes()).unwrap().collect() };
        let open = "email,name\nada@x.org,Ada\neva@x.org,\"Eva\n";
        // The open value ends with the file, or at the next quote.
        for rest in ["bob@x.org,Bob\n", "bob@x.org,\"Bob\"\nian@x.org,Ian\n"] {
            let found = rows(&format!("{open}{rest}"));
            let refused = found[1].as_ref().unwrap().user.as_ref().unwrap_err();
            assert!(
                refused.starts_with("the row goes on to line 4: is a quote not closed? ("),
                "{refused}"
            );
        }
        for empty in ["", "\n", "\n\n"] {
            let after_empty = format!("email,name\n{empty}eva@x.org,\"Eva\nbob@x.org,Bob\n");
            let row = rows(&after_empty).remove(0).unwrap();
            let (first, last) = (2 + empty.len(), 3 + empty.len());
            assert_eq!(row.line as usize, first, "{after_empty:?}");
            let refused = row.user.unwrap_err();
            let goes_on = format!("the row goes on to line {last}: is a quote");
            assert!(refused.starts_with(&goes_on), "{refused}");
        }
        let found = rows(open);
        let refused = found[1].as_ref().unwrap().user.as_ref().unwrap_err();
        assert!(
            refused.starts_with("is a quote not closed? (name must be"),
            "{refused}"
        );
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
