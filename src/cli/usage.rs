//! Command lines that cannot be used: one sentence each, which says what to write instead.

use std::error::Error;
use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Words that other programs have for a command, and the command here. The first word is that of the command
/// above, `oneseat` where there is none.
const COMMANDS: [(&str, &[&str], &str); 24] = [
    (
        "oneseat",
        &["start", "run", "server", "up", "web", "init", "setup"],
        "oneseat serve",
    ),
    ("oneseat", &["users", "account", "accounts"], "oneseat user"),
    ("oneseat", &["sessions"], "oneseat session"),
    ("oneseat", &["clients", "service", "services"], "oneseat client"),
    (
        "oneseat",
        &["who", "ps", "status", "list", "ls"],
        "oneseat session list",
    ),
    (
        "oneseat",
        &["logout", "signout", "kick", "revoke", "end"],
        "oneseat session end --user EMAIL",
    ),
    (
        "oneseat",
        &["add", "adduser", "useradd", "create", "register"],
        "oneseat user add EMAIL --name NAME",
    ),
    ("oneseat", &["invite"], "oneseat user invite EMAIL --name NAME"),
    ("oneseat", &["unlock"], "oneseat user unlock EMAIL"),
    ("oneseat", &["password", "passwd"], "oneseat user password EMAIL"),
    ("oneseat", &["upgrade", "db"], "oneseat database upgrade"),
    ("oneseat", &["migrations"], "oneseat migrate"),
    ("oneseat", &["version"], "oneseat --version"),
    (
        "user",
        &["create", "new", "register"],
        "oneseat user add EMAIL --name NAME",
    ),
    ("user", &["ls", "all"], "oneseat user list"),
    ("user", &["get", "info", "view"], "oneseat user show EMAIL"),
    ("user", &["delete", "del", "rm"], "oneseat user remove EMAIL"),
    ("user", &["promote"], "oneseat user role EMAIL admin"),
    ("user", &["demote"], "oneseat user role EMAIL user"),
    ("user", &["name"], "oneseat user rename EMAIL --name NAME"),
    ("user", &["passwd", "reset"], "oneseat user password EMAIL"),
    (
        "user",
        &["lock", "ban", "block", "suspend"],
        "oneseat user disable EMAIL",
    ),
    ("session", &["ls", "show"], "oneseat session list"),
    (
        "session",
        &["revoke", "kill", "remove", "delete", "rm", "stop", "close"],
        "oneseat session end --user EMAIL",
    ),
];

/// Flags that other programs have, and what to write here.
const FLAGS: [(&[&str], &str); 10] = [
    (
        &["--port", "-p"],
        "write the port in --bind, such as --bind 127.0.0.1:8080",
    ),
    (
        &["--host", "--address", "--addr", "--listen", "-H"],
        "write the address in --bind, such as --bind 127.0.0.1:8080",
    ),
    (&["--db", "--dsn", "--database"], "write --database-url URL"),
    (&["--data", "--directory"], "write --data-dir DIR"),
    (
        &["--config", "-c"],
        "there is no file of settings: each is a flag and a variable, as `oneseat serve --help` shows",
    ),
    (
        &["--password"],
        "write --password-stdin and give it on standard input, since others can read a command line",
    ),
    (
        &["--verbose", "-v", "--debug"],
        "set the variable RUST_LOG, as in RUST_LOG=debug",
    ),
    (&["--email"], "write the address without a flag"),
    (&["--force", "-f"], "write --yes"),
    (&["--format", "--output", "-o"], "write --json"),
];

/// What is wrong and what to write instead, in one sentence without a full stop.
pub(super) fn sentence(
    error: &clap::Error,
    program: &Command,
    words: impl Iterator<Item = OsString>,
) -> String {
    let of = |kind| text(error, kind);
    let words: Vec<OsString> = words.collect();
    let (command_of_page, page) = page(program, &words);
    let see = format!("see `{page} --help`");
    let argument = of(ContextKind::InvalidArg).unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = of(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!(
                "there is no command `{page} {word}`: {}",
                command(error, &page, &word)
            )
        }
        ErrorKind::MissingSubcommand => format!("`{page}` needs a command: {see}"),
        ErrorKind::UnknownArgument => match value_with_dash(command_of_page, &words, &argument) {
            Some((flag, value)) => format!("{flag} cannot be `{value}`: it reads like a flag; {see}"),
            None => format!("`{page}` takes no {argument}: {}", flag(error, &page, &argument)),
        },
        ErrorKind::MissingRequiredArgument => format!(
            "`{page}` needs {}: {see}",
            list(error, ContextKind::InvalidArg, " and ")
        ),
        ErrorKind::ArgumentConflict => {
            let other = list(error, ContextKind::PriorArg, " and ");
            let both = if other.is_empty() || other == argument {
                format!("{argument} may be written once only")
            } else {
                format!("{argument} cannot stand beside {other}")
            };
            format!("{both}: {see}")
        }
        ErrorKind::TooManyValues => format!("{argument} takes no value: {see}"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => value(error, &argument, &see),
        _ => {
            let words = error.to_string();
            let first = words.lines().next().unwrap_or_default();
            format!("{}: {see}", first.trim_start_matches("error: "))
        }
    }
}

/// What to write instead of an unknown command.
fn command(error: &clap::Error, page: &str, word: &str) -> String {
    let above = page.split(' ').next_back().unwrap_or_default();
    let known = COMMANDS
        .iter()
        .find(|(of, words, _)| *of == above && words.contains(&word));
    match (known, text(error, ContextKind::SuggestedSubcommand)) {
        (Some((.., instead)), _) => format!("write `{instead}`"),
        (None, Some(similar)) => format!("write `{page} {similar}`"),
        (None, None) => format!("`{page} --help` lists all"),
    }
}

/// What to write instead of an unknown argument.
fn flag(error: &clap::Error, page: &str, argument: &str) -> String {
    let is_flag = argument.starts_with('-');
    let known = FLAGS.iter().find(|(names, _)| names.contains(&argument));
    match (known, text(error, ContextKind::SuggestedArg)) {
        (Some((_, instead)), _) => (*instead).to_owned(),
        (None, Some(similar)) => format!("write {similar}"),
        (None, None) if !is_flag && page.ends_with(" list") => {
            format!("to search, write --search {argument}")
        }
        (None, None) if !is_flag && page.ends_with("session end") => {
            "write --user EMAIL, --id ID or --all".to_owned()
        }
        (None, None) => format!("see `{page} --help`"),
    }
}

/// Why a value cannot be used.
fn value(error: &clap::Error, argument: &str, see: &str) -> String {
    let given = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let all = list(error, ContextKind::ValidValue, ", ");
    match error.source() {
        _ if given.is_empty() => no_value(argument, see),
        Some(reason) => format!("{argument} cannot be `{given}`: {reason}"),
        None if all.is_empty() => format!("{argument} cannot be `{given}`: {see}"),
        None => format!("{argument} cannot be `{given}`: write one of {all}"),
    }
}

/// What a flag is to be followed by: one of some words, or what its page says.
fn no_value(argument: &str, see: &str) -> String {
    match argument.split_once(' ') {
        Some((flag, choice)) if choice.contains(" or ") => format!("{flag} needs a value: write {choice}"),
        Some((flag, _)) => format!("{flag} needs a value: {see}"),
        None => format!("{argument} must not be empty: {see}"),
    }
}

/// A flag that takes a value, and the word after it, which clap has taken for a flag: `--page-grace -5s`.
fn value_with_dash(command: &Command, words: &[OsString], argument: &str) -> Option<(String, String)> {
    words.windows(2).find_map(|pair| {
        let (flag, value) = (pair[0].to_str()?, pair[1].to_str()?);
        let takes_value = |name: &str| {
            let mut arguments = command.get_arguments();
            arguments.any(|known| known.get_long() == Some(name) && known.get_action().takes_values())
        };
        let is_meant = value.starts_with(argument) && takes_value(flag.strip_prefix("--")?);
        is_meant.then(|| (flag.to_owned(), value.to_owned()))
    })
}

/// The command that was being read, and its words, such as `oneseat user add`.
fn page<'a>(program: &'a Command, words: &[OsString]) -> (&'a Command, String) {
    let (mut command, mut page) = (program, program.get_name().to_owned());
    for word in words {
        if let Some(below) = command.find_subcommand(word) {
            command = below;
            page = format!("{page} {}", below.get_name());
        }
    }
    (command, page)
}

/// The first thing that clap says of this kind.
fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(bare(text)),
        ContextValue::Strings(all) => all.first().map(|text| bare(text)),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}

/// All that clap says of this kind.
fn list(error: &clap::Error, kind: ContextKind, between: &str) -> String {
    match error.get(kind) {
        Some(ContextValue::Strings(all)) => {
            let all: Vec<_> = all.iter().map(|text| bare(text)).collect();
            all.join(between)
        }
        _ => text(error, kind).unwrap_or_default(),
    }
}

/// An argument without the brackets of a usage line.
fn bare(text: &str) -> String {
    let is_argument = text.starts_with(['-', '<']);
    if is_argument {
        text.replace(['<', '>'], "").replace('|', " or ")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, CommandFactory};

    use crate::cli::Cli;
    use crate::config::DatabaseSettings;

    fn each(command: &Command, look: &mut impl FnMut(&Command)) {
        look(command);
        for below in command.get_subcommands() {
            each(below, look);
        }
    }

    #[test]
    fn help_has_nothing_but_settings_of_the_database_below_their_heading() {
        let settings = DatabaseSettings::augment_args(Command::new("settings"));
        let own: Vec<_> = settings.get_arguments().map(clap::Arg::get_id).collect();
        each(&Cli::command(), &mut |command| {
            for argument in command.get_arguments() {
                let is_below = argument.get_help_heading() == Some("Database settings");
                let (name, id) = (command.get_name(), argument.get_id());
                assert_eq!(is_below, own.contains(&id), "{name} {id}");
            }
        });
    }
}
