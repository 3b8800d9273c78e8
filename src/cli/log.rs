//! The log: lines for people, or one JSON object a line for collectors. Each line of a request tells which.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;

use env_logger::fmt::Formatter;
use env_logger::{Builder, Env};
use indicatif_log_bridge::LogWrapper;
use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::{Map, Value as Json};

use super::progress::BARS;
use crate::auth::audit::EXPIRED;
use crate::request_id::RequestId;

/// What is logged unless somebody says otherwise. The HTTP parser calls nonsense from a client an error of ours.
const USUAL: &str = "info,actix_http::h1::dispatcher=off";

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
    /// The formats that there are.
    pub(super) fn parse(raw: &str) -> Result<Self, &'static str> {
        match raw.trim() {
            "" | "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("write human or json"),
        }
    }
}

/// Writes the log to standard error, from the level on that `RUST_LOG` names; what panics say goes there, too, on one line.
///
/// Without that name a terminal is spared one thing: a line for each session that a sweep removes. A person needs the sum, which
/// is told; a file or a journal gets them all.
pub(super) fn start(format: LogFormat) {
    let filter = if io::stderr().is_terminal() {
        format!("{USUAL},{EXPIRED}=warn")
    } else {
        USUAL.to_owned()
    };
    let mut logger = Builder::from_env(Env::default().default_filter_or(filter));
    let logger = match format {
        LogFormat::Human => logger.format(human),
        LogFormat::Json => logger.format(json),
    }
    .build();
    let level = logger.filter();
    if LogWrapper::new(BARS.clone(), logger).try_init().is_ok() {
        log::set_max_level(level);
    }
    std::panic::set_hook(Box::new(log_panic));
}

fn human(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let level = record.level();
    let style = line.default_level_style(level);
    let time = line.timestamp();
    let target = record.target();
    writeln!(
        line,
        "[{time} {style}{level:<5}{style:#} {target}] {}",
        words(record)
    )
}

/// What a record says, with what it names.
pub(crate) fn words(record: &Record<'_>) -> String {
    let mut words = record.args().to_string();
    for (key, value) in fields(record) {
        // Whoever chose the value starts neither a line nor a field of their own.
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
        let is_plain = !value.is_empty() && value.chars().all(is_plain);
        let written = match is_plain {
            true => write!(words, " {key}={value}"),
            false => write!(words, " {key}={value:?}"),
        };
        // A String takes everything.
        debug_assert!(written.is_ok());
    }
    words
}

fn json(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut object = Map::new();
    let mut put = |key: &str, value: String| object.insert(key.to_owned(), Json::String(value));
    put("time", line.timestamp_micros().to_string());
    put("level", record.level().to_string());
    put("target", record.target().to_owned());
    put("message", record.args().to_string());
    for (key, value) in fields(record) {
        put(&key, value);
    }
    writeln!(line, "{}", Json::Object(object))
}

/// What the record names, and the request.
fn fields(record: &Record<'_>) -> Vec<(String, String)> {
    struct Fields(Vec<(String, String)>);
    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            self.0.push((key.as_str().to_owned(), value.to_string()));
            Ok(())
        }
    }
    let mut fields = Fields(Vec::new());
    // Ours never fail, and a line with less is better than none.
    let _ = record.key_values().visit(&mut fields);
    if let Some(id) = RequestId::current() {
        fields.0.push(("requestId".to_owned(), id.to_string()));
    }
    fields.0
}

/// One line for a panic: where, on which thread, what it said; and the way there, when `RUST_BACKTRACE` asks for it.
pub(crate) fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload_as_str().unwrap_or("without words");
    let way = way(&Backtrace::capture());
    log::error!("panic of the thread {thread:?} at {place}: {words:?}{way}");
}

/// On one line, like everything in the log.
fn way(backtrace: &Backtrace) -> String {
    match backtrace.status() {
        BacktraceStatus::Captured => format!("; {backtrace:?}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured_log;

    #[test]
    fn a_panic_is_told_on_one_line_with_its_thread_and_its_place() {
        captured_log::start();
        let thread = std::thread::Builder::new().name("worker 7".to_owned());
        let log = thread.spawn(|| {
            let panic = std::panic::catch_unwind(|| panic!("on\npurpose"));
            assert!(panic.is_err());
            captured_log::lines()
        });
        let log = log.unwrap().join().unwrap();
        assert_eq!(log.len(), 1, "{log:#?}");
        let start = "ERROR panic of the thread \"worker 7\" at src/cli/log.rs:";
        assert!(log[0].starts_with(start), "{log:#?}");
        assert!(log[0].contains(r#""on\npurpose""#), "{log:#?}");
    }

    #[test]
    fn the_way_to_a_panic_is_told_on_the_same_line_where_it_is_asked_for() {
        let told = way(&Backtrace::force_capture());
        assert!(
            told.contains("the_way_to_a_panic") && !told.contains('\n'),
            "{told}"
        );
        assert_eq!(way(&Backtrace::disabled()), "");
    }

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
}
