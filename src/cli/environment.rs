//! The environment variables of libpq, which are meant for the operator's own servers.
//!
//! libpq fills whatever a connection string leaves open from variables named `PG...`: another port, a service
//! that is defined nowhere, options that a server refuses. For a database of the operator's that is wanted.
//! For the private one it would only break things, and no connection string can forbid all of it. So the
//! program starts again without them, as the same process.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process;

use clap::{ArgMatches, Command};

use super::Failure;

/// Which PostgreSQL a command uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Postgres {
    /// The operator's own server, or none.
    #[default]
    Given,
    /// A private server.
    Private,
}

impl Postgres {
    /// Finds out from the arguments and the environment, before the command is read.
    pub(super) fn of(arguments: &ArgMatches) -> Self {
        if let Some((_, arguments)) = arguments.subcommand() {
            return Self::of(arguments);
        }
        let is_given = |name| match arguments.try_get_one::<String>(name) {
            Ok(value) => value.is_some_and(|value| !value.trim().is_empty()),
            // A command without a database.
            Err(_) => true,
        };
        if is_given("database_url") || is_given("database_url_file") {
            Self::Given
        } else {
            Self::Private
        }
    }

    /// Keeps libpq from obeying variables that are meant for other servers. Returns when there are none.
    ///
    /// # Errors
    /// When the program cannot be started again.
    pub(super) fn alone(self) -> Result<(), Failure> {
        let names: Vec<OsString> = env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.as_bytes().starts_with(b"PG"))
            .collect();
        if self == Self::Given || names.is_empty() {
            return Ok(());
        }
        let mut arguments = env::args_os();
        let own_name = arguments.next().unwrap_or_else(|| "oneseat".into());
        let error = env::current_exe().map(|program| {
            let mut again = process::Command::new(program);
            again.arg0(own_name).args(arguments);
            for name in &names {
                again.env_remove(name);
            }
            again.exec()
        });
        let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
        Err(Failure::failed(format!(
            "{} would lead away from the private PostgreSQL, and this program cannot be started without them ({}); unset them",
            names.join(", "),
            error.unwrap_or_else(|error| error),
        )))
    }
}

/// The command without the variables that are set to nothing: they count as not set, whatever the setting. Those
/// that name a database stay, and are refused: a value that is missing must not lead to a new and empty database.
pub(super) fn without_empty_settings(command: Command) -> Command {
    let is_empty = |name: &OsStr| {
        let value = env::var_os(name).unwrap_or_default();
        let names_a_database = !name.as_bytes().starts_with(b"ONESEAT_") || name == "ONESEAT_DATA_DIR";
        !names_a_database && value.to_string_lossy().trim().is_empty()
    };
    command
        .mut_args(|argument| match argument.get_env().is_some_and(is_empty) {
            true => argument.env(None),
            false => argument,
        })
        .mut_subcommands(without_empty_settings)
}

/// Variables that begin like a setting and are none. Most of them are misspelt.
pub(super) fn unknown_settings(command: &Command) -> Vec<String> {
    let mut known = Vec::new();
    collect_variables(command, &mut known);
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names
        .filter(|name| name.starts_with("ONESEAT_") && !known.contains(name))
        .collect()
}

fn collect_variables(command: &Command, known: &mut Vec<String>) {
    let variables = command.get_arguments().filter_map(|argument| argument.get_env());
    known.extend(variables.map(|name| name.to_string_lossy().into_owned()));
    for command in command.get_subcommands() {
        collect_variables(command, known);
    }
}
