//! `oneseat user import`

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use futures_util::Stream;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc;

use super::invitations;
use crate::auth::import::{ImportCounts, ImportError, ImportOptions, NotImported};
use crate::auth::{Auth, Authority};
use crate::cli::{Failure, open_to_add, output, progress};
use crate::config::{self, DatabaseSettings, ReachSettings};
use crate::users::import::{CsvRows, JsonRows, Row};

/// Bytes that are read from the file at a time.
const BUFFER: usize = 64 * 1_024;

/// Rows that are read ahead.
const AHEAD: usize = 1_000;

/// Arguments of `oneseat user import`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  What would become of each row? Nothing is written:
    oneseat user import users.jsonl --dry-run
  The same file may be imported again; what is there stays as it is:
    oneseat user import users.jsonl
  From another program, with a mail to everybody who has no password yet:
    psql -c \"copy (...) to stdout csv header\" | oneseat user import - --format csv --invite

Columns: email, and as far as you have them name, role (user or admin), verified, disabled, created, hash.
docs/moving-in.md shows how to export them from other systems.")]
pub(in crate::cli) struct Import {
    /// File with one account in each row; - is standard input
    file: PathBuf,
    /// JSON lines or CSV; told by the end of the file's name unless given
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Say what would become of each row, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Mail a link to choose a password to each user who is added without a hash; a running `serve` that has a
    /// mail server sends it
    #[arg(long)]
    invite: bool,
    #[command(flatten)]
    reach: ReachSettings,
    #[command(flatten)]
    database: DatabaseSettings,
}

/// How the rows are written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// One JSON object on each line
    Jsonl,
    /// Values with commas, semicolons or tabs between them; the first line names the columns
    Csv,
}

impl Import {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = config::database(&self.database)?;
        let takes_utf8 = config::takes_utf8_addresses(&self.reach, self.invite)?;
        let (input, bytes) = self.input()?;
        let format = self.format()?;
        let (bar, input) = progress::reading(input, bytes);
        let (auth, _opened) = open_to_add(config, takes_utf8).await?;
        let rows = rows(format, BufReader::with_capacity(BUFFER, input));
        let options = ImportOptions {
            is_rehearsal: self.dry_run,
            invites: self.invite,
        };
        // The rows are imported even if nobody reads our output any more.
        let mut told = Ok(());
        let tell = |line, outcome| {
            if told.is_ok() {
                told = bar.suspend(|| output::line(in_words(line, outcome)));
            }
        };
        let done = auth.import(rows, options, Authority::Operator, tell).await;
        bar.finish_and_clear();
        told?;
        match done {
            Ok(counts) => {
                self.tell(counts)?;
                self.tell_invitations(&auth).await;
                as_the_file_says(counts)
            }
            Err(ImportError::Read { error, so_far }) => {
                if so_far != ImportCounts::default() {
                    self.tell(so_far)?;
                    self.tell_invitations(&auth).await;
                }
                Err(Failure::failed(error))
            }
            Err(ImportError::Failed(error)) => Err(Failure::failed(format!(
                "{error}; what was imported before stays, so import the file again"
            ))),
        }
    }

    /// Says that invitations wait, if they do.
    async fn tell_invitations(&self, auth: &Auth) {
        if self.invite
            && !self.dry_run
            && let Some(words) = invitations::of_all(auth).await
        {
            output::note(&words);
        }
    }

    fn format(&self) -> Result<Format, Failure> {
        let extension = self.file.extension().and_then(|extension| extension.to_str());
        let by_name = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("jsonl" | "ndjson") => Some(Format::Jsonl),
            Some("csv") => Some(Format::Csv),
            _ => None,
        };
        let format = self.format.or(by_name);
        format.ok_or_else(|| {
            let file = self.file.display();
            Failure::WrongUsage(format!(
                "say how the rows of {file} are written: --format jsonl or --format csv"
            ))
        })
    }

    /// Opens the file. Returns also its size in bytes, if that is known.
    fn input(&self) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
        if self.file.as_os_str() == "-" {
            return Ok((Box::new(io::stdin()), None));
        }
        let failed = |error| Failure::failed(format!("{} cannot be read: {error}", self.file.display()));
        let file = File::open(&self.file).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if found.is_dir() {
            return Err(failed(ErrorKind::IsADirectory.into()));
        }
        Ok((Box::new(file), found.is_file().then_some(found.len())))
    }

    /// Prints what became of the rows.
    fn tell(&self, counts: ImportCounts) -> Result<(), Failure> {
        let ImportCounts {
            added,
            unchanged,
            different,
            refused,
        } = counts;
        let rehearsed = if self.dry_run {
            "nothing was written; it would be: "
        } else {
            ""
        };
        output::line(format_args!(
            "{rehearsed}added {added}, unchanged {unchanged}, left as they are {different}, refused {refused}"
        ))
    }
}

/// Fails if a row is not in the table as the file says.
fn as_the_file_says(counts: ImportCounts) -> Result<(), Failure> {
    match counts.different + counts.refused {
        0 => Ok(()),
        bad => {
            let rows = counts.added + counts.unchanged + bad;
            let (noun, verb) = (
                if rows == 1 { "row" } else { "rows" },
                if bad == 1 { "is" } else { "are" },
            );
            Err(Failure::failed(format!(
                "{bad} of {rows} {noun} {verb} not as the file says"
            )))
        }
    }
}

/// Reads the rows on a thread of its own, so that a signal is heard while standard input says nothing.
fn rows(format: Format, input: impl BufRead + Send + 'static) -> impl Stream<Item = io::Result<Row>> {
    let (put, mut read) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let rows: Box<dyn Iterator<Item = io::Result<Row>>> = match format {
            Format::Jsonl => Box::new(JsonRows::new(input)),
            Format::Csv => match CsvRows::new(input) {
                Ok(rows) => Box::new(rows),
                Err(words) => Box::new(std::iter::once(Err(io::Error::other(words)))),
            },
        };
        for row in rows {
            // Nobody waits for rows any more.
            if put.blocking_send(row).is_err() {
                return;
            }
        }
    });
    poll_fn(move |context| read.poll_recv(context))
}

fn in_words(line: u64, outcome: NotImported) -> String {
    match outcome {
        NotImported::Refused(reason) => format!("line {line}: refused: {reason}"),
        NotImported::Different { columns, first } => {
            let why = match first {
                Some(first) => format!("line {first} has this address, too"),
                None => "this address is there already".to_owned(),
            };
            let different = match columns.is_empty() {
                true => String::new(),
                false => format!("; different: {}", columns.join(", ")),
            };
            format!("line {line}: left as it is: {why}{different}")
        }
    }
}
