//! The log: lines for people, or one JSON object a line for collectors. Each line of a request has its id.

mod journal;
mod limited;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{LazyLock, OnceLock};

use chrono::{SecondsFormat, Utc};
use env_logger::fmt::Formatter;
use env_logger::{Builder, Env};
use indicatif::ProgressDrawTarget;
use indicatif_log_bridge::LogWrapper;
use log::{Level, Record};

use super::progress::BARS;
use crate::auth::audit::EXPIRED;
use crate::log_line::{self as line, log_panic};
use limited::Limited;

/// What is logged by default. The HTTP parser is off: it logs nonsense from a client as an error of ours.
const USUAL: &str = "info,actix_http::h1::dispatcher=off";

/// The variable and the flag that choose the format.
pub(super) const VARIABLE: &str = "ONESEAT_LOG_FORMAT";
const FLAG: &str = "--log-format";

/// The format since [`start`].
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Whether the journal reads what is written.
static IS_FOR_JOURNAL: LazyLock<bool> = LazyLock::new(journal::is_standard_error);

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Words, then `key=value`.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// # Errors
    /// The formats that exist.
    pub(super) fn parse(raw: &str) -> Result<Self, &'static str> {
        match raw.trim() {
            "" | "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("write human or json"),
        }
    }

    /// The format that an unusable command line asks for, as far as that can be told: the flag wins over the
    /// variable.
    pub(super) fn asked_for(arguments: impl Iterator<Item = OsString>, variable: Option<OsString>) -> Self {
        let mut words = arguments.map(|word| word.to_string_lossy().into_owned());
        let flag = words.find_map(|word| match word.strip_prefix(FLAG)? {
            "" => Some(None),
            rest => rest.strip_prefix('=').map(|value| Some(value.to_owned())),
        });
        let value = match flag {
            Some(value) => value.or_else(|| words.next()),
            None => variable.map(|value| value.to_string_lossy().into_owned()),
        };
        value
            .and_then(|value| Self::parse(&value).ok())
            .unwrap_or_default()
    }
}

/// What is logged unless `RUST_LOG` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usual {
    /// What a server does. A terminal gets no line for each session that a sweep removes, nor for each thread
    /// that starts.
    Server,
    /// What a short command does. On a terminal its answer says that, so only warnings are shown there.
    Command,
    /// Errors only, also against `RUST_LOG`.
    Errors,
}

impl Usual {
    fn filter(self) -> String {
        match (self, io::stderr().is_terminal()) {
            (Self::Errors, _) => "error".to_owned(),
            (Self::Command, true) => "warn".to_owned(),
            (Self::Server, true) => format!("{USUAL},{EXPIRED}=warn,actix_server=warn"),
            (Self::Server | Self::Command, false) => USUAL.to_owned(),
        }
    }
}

/// Writes the log to standard error, from the level in `RUST_LOG` on. Panics go there, too, each on one line.
///
/// A file or a journal gets more lines than a terminal, where a person needs only a summary.
pub(super) fn start(format: LogFormat, usual: Usual) {
    let mut logger = Builder::new();
    match usual {
        Usual::Errors => logger.parse_filters(&usual.filter()),
        Usual::Server | Usual::Command => logger.parse_env(Env::default().default_filter_or(usual.filter())),
    };
    let logger = match format {
        LogFormat::Human => logger.format(human),
        LogFormat::Json => {
            // A progress bar is no JSON.
            BARS.set_draw_target(ProgressDrawTarget::hidden());
            logger.format(json)
        }
    }
    .build();
    let level = logger.filter();
    if LogWrapper::new(BARS.clone(), Limited::new(logger))
        .try_init()
        .is_ok()
    {
        log::set_max_level(level);
    }
    let _ = FORMAT.set(format);
    std::panic::set_hook(Box::new(log_panic));
}

/// Says why a command failed, whatever `RUST_LOG` leaves out: a sentence, then its points.
pub(super) fn last_words(format: LogFormat, sentence: &str, points: &[String]) {
    let told = match format {
        LogFormat::Human => {
            let points = points.iter().map(|point| format!("\n  {}", line::plain(point)));
            format!(
                "oneseat: {}{}",
                line::plain(&sentence),
                points.collect::<String>()
            )
        }
        LogFormat::Json => {
            let points = points.join("; ");
            let space = if points.is_empty() { "" } else { " " };
            object(Level::Error, format_args!("{sentence}{space}{points}"))
        }
    };
    write_lines(Level::Error, &told);
}

/// Says a sentence that is no answer, whatever `RUST_LOG` leaves out.
pub(super) fn note(sentence: &str) {
    let format = FORMAT.get().copied().unwrap_or_default();
    let told = match format {
        LogFormat::Human => sentence.to_owned(),
        LogFormat::Json => object(Level::Info, format_args!("{sentence}")),
    };
    write_lines(Level::Info, &told);
}

/// A line of the log as JSON, from the program itself.
fn object(level: Level, words: fmt::Arguments<'_>) -> String {
    let record = Record::builder()
        .level(level)
        .target("oneseat")
        .args(words)
        .build();
    line::json(now(SecondsFormat::Micros), &record)
}

/// Now, in UTC.
fn now(precision: SecondsFormat) -> String {
    Utc::now().to_rfc3339_opts(precision, true)
}

fn human(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let level = record.level();
    let style = line.default_level_style(level);
    let (target, words) = (line::name(record.target()), line::words(record));
    if *IS_FOR_JOURNAL {
        // The journal has the time of each line.
        return writeln!(line, "{}[{level:<5} {target}] {words}", journal::prefix(level));
    }
    let time = now(SecondsFormat::Secs);
    writeln!(line, "[{time} {style}{level:<5}{style:#} {target}] {words}")
}

/// The prefix of a line of this level.
fn prefix(level: Level) -> &'static str {
    if *IS_FOR_JOURNAL {
        journal::prefix(level)
    } else {
        ""
    }
}

/// Writes whole lines to standard error. If they cannot be written, nobody is left to be told.
fn write_lines(level: Level, text: &str) {
    let prefix = prefix(level);
    let lines = text.lines().map(|line| format!("{prefix}{line}\n"));
    let _ = io::stderr().write_all(lines.collect::<String>().as_bytes());
}

fn json(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let time = now(SecondsFormat::Micros);
    writeln!(line, "{}{}", prefix(record.level()), line::json(time, record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured_log;
    use crate::request_id::RequestId;

    #[tokio::test]
    async fn a_line_names_its_request_and_nobody_chooses_where_a_field_begins() {
        captured_log::start();
        let id = RequestId::new();
        let said = async {
            captured_log::lines();
            log::info!(user = "a1", agent = "evil\n user=\"root\" id=1", empty = ""; "it happened");
            captured_log::lines()
        };
        let line =
            format!(r#"INFO it happened user=a1 agent="evil\n user=\"root\" id=1" empty="" requestId={id}"#);
        assert_eq!(id.scope(said).await, [line]);
    }

    #[test]
    fn the_format_is_known_although_the_rest_of_the_command_line_is_not() {
        let asked = |line: &str, variable: Option<&str>| {
            let words = line.split_whitespace().map(OsString::from);
            LogFormat::asked_for(words, variable.map(OsString::from))
        };
        for line in ["oneseat --log-format json", "oneseat srve --log-format=json --x"] {
            assert_eq!(asked(line, Some("human")), LogFormat::Json);
        }
        assert_eq!(asked("oneseat srve", Some("json")), LogFormat::Json);
        assert_eq!(asked("oneseat --log-format", Some("json")), LogFormat::Human);
        assert_eq!(asked("oneseat --log-format xml", Some("json")), LogFormat::Human);
        assert_eq!(asked("oneseat --log-formats json", None), LogFormat::Human);
    }
}
