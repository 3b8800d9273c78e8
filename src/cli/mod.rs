//! The command line. Exit status 0: done; 1: failed, with one line on stderr; 2: wrong usage.

mod client;
mod completions;
mod confirm;
mod database;
mod environment;
mod input;
mod interrupt;
mod listing;
pub(crate) mod log;
mod man;
mod migrate;
mod notify;
mod open;
mod open_files;
mod output;
mod password;
mod progress;
mod serve;
mod session;
mod sweep;
mod table;
mod usage;
mod user;
mod welcome;

use std::process::ExitCode;
use std::{env, fmt};

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::app;
use crate::app::background::write_sums;
use crate::config::BadValues;
use environment::{Postgres, unknown_settings, without_empty_settings};
use interrupt::until_told_to_stop;
use log::{LogFormat, Usual};
use open::{in_background, open, open_to_add, open_to_begin, open_with};

/// One user, one seat: signing in ends the older session
#[derive(Parser, Debug)]
#[command(
    version,
    about,
    long_about = "One user, one seat: signing in takes the seat and ends the older session at once.\n\n\
        Without a database of yours, oneseat runs a private PostgreSQL of its own: `oneseat serve` is all it takes.\n\n\
        Every setting is a flag and an environment variable; the flag wins. All values that cannot be used are told at \
        once, before anything starts.",
    after_help = "Every setting is a flag and an environment variable; the flag wins.\n\
        RUST_LOG sets how much is logged (error, warn, info, debug; default info).",
    after_long_help = "Examples:
  Try it out on http://127.0.0.1:8080; the first start prints a password:
    oneseat serve
  Add somebody who may sign in, to a database of yours:
    export DATABASE_URL=postgres://oneseat@db.example.org/oneseat
    oneseat user add ada@example.org --name Ada --verified
  See who is signed in, and end that:
    oneseat session list
    oneseat session end --user ada@example.org

Environment:
  DATABASE_URL  The database, for every command that needs one.
  ONESEAT_DATA_DIR  Directory of the private PostgreSQL, for every command that needs one.
  ONESEAT_...  The settings of `oneseat serve`: its page names the variable of each.
  RUST_LOG  How much is logged: error, warn, info or debug; info unless set. Parts may differ: `info,oneseat::security=warn`.
  PG...  What libpq reads (PGSSLMODE, PGPASSFILE ...), with a database of yours; the private one obeys none of it.
  NOTIFY_SOCKET  Where `oneseat serve` says that it serves, and that it stops; systemd sets it.

Files:
  /var/lib/oneseat  The private PostgreSQL, when root runs it.
  ~/.local/share/oneseat  The same for everybody else, unless XDG_DATA_HOME says otherwise.
  /etc/oneseat/oneseat.env  The settings of the service, where the Debian package installed one.

Exit status:
  0  Done.
  1  Failed; one line on standard error says why.
  2  Wrong usage: nothing was begun.
  130  Interrupted by a signal.
  141  Nobody reads the output any more."
)]
pub struct Cli {
    /// How the log is written to standard error: human or json
    #[arg(
        long,
        global = true,
        env = log::VARIABLE,
        value_name = "FORMAT",
        default_value = "human",
        hide_env_values = true,
        value_parser = LogFormat::parse
    )]
    log_format: LogFormat,

    /// Say nothing but answers and errors, whatever RUST_LOG says
    #[arg(short, long, global = true)]
    quiet: bool,

    #[command(subcommand)]
    command: Command,

    #[arg(skip)]
    postgres: Postgres,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the pages and the API
    ///
    /// Takes the port, opens the database, brings its schema up to date, and serves until it is told to stop
    /// by SIGTERM, SIGINT or SIGHUP: then it lets requests under way finish. Any number of instances may
    /// share a database.
    Serve(Box<serve::Serve>),
    /// Bring the database's schema up to date
    ///
    /// `oneseat serve` and every other command do so by themselves. Use this to do it before the first
    /// instance of a new version starts. Two at the same time wait for each other.
    Migrate(migrate::Migrate),
    /// Remove expired sessions now
    ///
    /// A running `oneseat serve` does so by itself every quarter of an hour. Nothing depends on it: an
    /// expired session is refused whether it was swept or not.
    Sweep(sweep::Sweep),
    /// Move the private PostgreSQL to another version
    #[command(subcommand)]
    Database(database::Database),
    /// Add, show and change accounts
    #[command(subcommand)]
    User(user::User),
    /// Add and remove services that may ask whose token they were given
    #[command(subcommand)]
    Client(client::Client),
    /// Show and end live sessions
    #[command(subcommand)]
    Session(session::Session),
    /// Print a script that completes this program's command lines in a shell
    Completions(completions::Completions),
    /// Print a manual page, or write all of them
    Man(man::Man),
}

/// Exit status of a command that failed.
const FAILED: u8 = 1;

/// Exit status of a command line that cannot be used.
const USAGE: u8 = 2;

/// Exit status when nobody reads our output any more: what shells report of a program that SIGPIPE has ended.
const UNREAD: u8 = 141;

/// Why a command failed.
enum Failure {
    /// Exit status 2: the values given cannot be used.
    Usage(BadValues),
    /// Exit status 1.
    Failed(String),
    /// Exit status 2: the command line needs something else, in words.
    WrongUsage(String),
    /// [`UNREAD`], in silence: nobody reads our output any more, as with `oneseat user list | head`.
    Unread,
    /// [`interrupt::STATUS`], in silence: a signal came in the middle.
    Interrupted,
}

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    /// The exit status, after `--help` or the error is printed: in the log's format, as far as that is known.
    pub fn read() -> Result<Self, ExitCode> {
        Self::parsed().map_err(|error| {
            let format = LogFormat::asked_for(env::args_os(), env::var_os(log::VARIABLE));
            match error.kind() {
                ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                    // If it cannot be written, nobody is left to be told.
                    let _ = error.print();
                }
                _ => {
                    let sentence = usage::sentence(&error, &Self::command(), env::args_os());
                    log::last_words(format, &sentence, &[]);
                }
            }
            ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
        })
    }

    fn parsed() -> Result<Self, clap::Error> {
        let arguments = without_empty_settings(Self::command())
            .try_get_matches()
            .or_else(|error| match error.kind() {
                // Help names every variable.
                ErrorKind::DisplayHelp => Self::command().try_get_matches(),
                _ => Err(error),
            })?;
        let cli = Self::from_arg_matches(&arguments).map_err(|error| error.format(&mut Self::command()))?;
        Ok(Self {
            postgres: Postgres::of(&arguments),
            ..cli
        })
    }

    /// Starts the log.
    pub fn start_log(&self) {
        let usual = match self.command {
            _ if self.quiet => {
                output::be_quiet();
                Usual::Errors
            }
            Command::Serve(_) => Usual::Server,
            _ => Usual::Command,
        };
        log::start(self.log_format, usual);
    }

    /// Runs the command to its end.
    pub fn run(self) -> ExitCode {
        for name in unknown_settings(&Self::command()) {
            ::log::warn!("{name} is no setting of this program: `oneseat serve --help` shows all");
        }
        let done = self
            .postgres
            .alone()
            .and_then(|()| self.command.run(self.log_format));
        write_sums();
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failure::Failed(words)) => {
                log::last_words(self.log_format, &words, &[]);
                ExitCode::from(FAILED)
            }
            Err(Failure::WrongUsage(words)) => {
                log::last_words(self.log_format, &words, &[]);
                ExitCode::from(USAGE)
            }
            Err(Failure::Unread) => ExitCode::from(UNREAD),
            Err(Failure::Interrupted) => ExitCode::from(interrupt::STATUS),
            Err(Failure::Usage(bad)) => {
                let each: Vec<String> = bad.to_string().lines().map(str::to_owned).collect();
                match each.as_slice() {
                    [one] => log::last_words(
                        self.log_format,
                        &format!("this setting cannot be used: {one}"),
                        &[],
                    ),
                    _ => log::last_words(self.log_format, "these settings cannot be used:", &each),
                }
                ExitCode::from(USAGE)
            }
        }
    }
}

impl Command {
    fn run(self, log_format: LogFormat) -> Result<(), Failure> {
        // One thread is enough for everything that waits; the server brings threads of its own.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
        actix_web::rt::System::with_tokio_rt(|| runtime).block_on(async {
            match self {
                Self::Serve(command) => command.run(log_format).await,
                Self::Migrate(command) => until_told_to_stop(command.run()).await,
                Self::Sweep(command) => until_told_to_stop(command.run()).await,
                Self::Database(command) => command.run().await,
                Self::Client(command) => until_told_to_stop(command.run()).await,
                Self::User(command) => until_told_to_stop(command.run()).await,
                Self::Session(command) => until_told_to_stop(command.run()).await,
                Self::Completions(command) => command.run(),
                Self::Man(command) => command.run(),
            }
        })
    }
}

impl From<app::Error> for Failure {
    fn from(error: app::Error) -> Self {
        Self::failed(error)
    }
}

impl From<BadValues> for Failure {
    fn from(bad: BadValues) -> Self {
        Self::Usage(bad)
    }
}

impl Failure {
    fn failed(words: impl fmt::Display) -> Self {
        Self::Failed(words.to_string())
    }
}
