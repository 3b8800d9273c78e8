//! `oneseat man`

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Cli, Failure, output};

/// On every page, in the form of what a command says at the end of its help.
const EXIT_STATUS: &str = "Exit status:
  0  Done.
  1  Failed; one line on standard error says why.
  2  Wrong usage: nothing was begun.";

/// Arguments of `oneseat man`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  Read the page of `oneseat user add`:
    oneseat man user add | man -l -
  Install all pages for this machine:
    oneseat man --output /usr/local/share/man/man1")]
pub(super) struct Man {
    /// The page of this command; without it, that of the program
    command: Vec<String>,
    /// Write all pages into this directory, which must be there
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    output: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut program = Cli::command().disable_help_subcommand(true);
        program.build();
        match self.output {
            Some(directory) => write_all(&[], &program, &directory).map_err(|error| {
                Failure::failed(format!("cannot write to {}: {error}", directory.display()))
            }),
            None => {
                let mut way = vec![&program];
                for word in &self.command {
                    let next = way.last().and_then(|command| command.find_subcommand(word));
                    way.push(next.ok_or_else(|| Failure::failed(format!("there is no command `{word}`")))?);
                }
                let (command, parents) = way.split_last().ok_or(Failure::Unread)?;
                output::text(page(parents, command).map_err(Failure::failed)?.as_bytes())
            }
        }
    }
}

/// The page of a command, and those of all below it.
fn write_all(parents: &[&Command], command: &Command, directory: &Path) -> io::Result<()> {
    let name = format!("{}.1", name(command));
    std::fs::write(directory.join(name), page(parents, command)?)?;
    let parents = [parents, &[command]].concat();
    command
        .get_subcommands()
        .try_for_each(|below| write_all(&parents, below, directory))
}

/// What its page is called: `oneseat-user-add`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(parents: &[&Command], command: &Command) -> io::Result<String> {
    let version = parents.first().unwrap_or(&command).get_version();
    let page = Page::new(without_summary(command))
        .title(name(command).to_uppercase())
        .source(format!("oneseat {}", version.unwrap_or_default()))
        .manual("oneseat");
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    // Names of commands must not be broken at the end of a line.
    Roff::new()
        .control("nh", [])
        .control("ad", ["l"])
        .to_writer(&mut out)?;
    page.render_name_section(&mut out)?;
    synopsis(command).to_writer(&mut out)?;
    page.render_description_section(&mut out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut out)?;
    }
    page.render_options_section(&mut out)?;
    let more = command.get_after_long_help().map(ToString::to_string);
    sections(&more.unwrap_or_default()).to_writer(&mut out)?;
    sections(EXIT_STATUS).to_writer(&mut out)?;
    see_also(parents, command).to_writer(&mut out)?;
    Ok(emphasised(&String::from_utf8_lossy(&out)))
}

/// The summary stands at the top already.
fn without_summary(command: &Command) -> Command {
    let (about, long) = (command.get_about(), command.get_long_about());
    let long = long.map(ToString::to_string).unwrap_or_default();
    match long.strip_prefix(&about.map(ToString::to_string).unwrap_or_default()) {
        Some(rest) if !rest.trim().is_empty() => command.clone().long_about(rest.trim_start().to_owned()),
        _ => command.clone(),
    }
}

/// As in the help: clap_mangen would name every option.
fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for form in usage.trim_start_matches("Usage:").lines() {
        roff.text([bold(form.trim())]).control("br", []);
    }
    roff
}

/// What a command says at the end of its help: a heading with a colon, sentences two spaces in, what to type four spaces in, and
/// what has a name as `name  sentence`.
fn sections(help: &str) -> Roff {
    let mut roff = Roff::new();
    for line in help.lines() {
        let text = line.trim_start();
        match (line.len() - text.len(), text.split_once("  ")) {
            (0, _) if text.is_empty() => {}
            (0, _) => {
                roff.control("SH", [text.trim_end_matches(':').to_uppercase().as_str()]);
            }
            (2, Some((name, meaning))) => {
                roff.control("TP", []).text([bold(name)]);
                roff.text([roman(meaning.trim_start())]);
            }
            (2, None) => {
                roff.control("PP", []).text([roman(text)]);
            }
            _ => {
                let typed = line.strip_prefix("    ").unwrap_or(text);
                roff.control("RS", ["4"]).control("nf", []).text([roman(typed)]);
                roff.control("fi", []).control("RE", []);
            }
        }
    }
    roff
}

/// What is above it and what is below it.
fn see_also(parents: &[&Command], command: &Command) -> Roff {
    let below = command.get_subcommands();
    let names: Vec<&str> = parents.iter().copied().chain(below).map(name).collect();
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for (position, name) in names.iter().enumerate() {
        let end = if position + 1 < names.len() {
            "(1), "
        } else {
            "(1)"
        };
        line.extend([bold(*name), roman(end)]);
    }
    roff.text(line);
    roff
}

/// What stands between backticks in the help is bold on paper.
fn emphasised(page: &str) -> String {
    let emphasise = |line: &str| {
        let parts: Vec<&str> = line.split('`').collect();
        let mut out = String::new();
        for (position, part) in parts.iter().enumerate() {
            out.push_str(match position {
                0 => "",
                odd if odd % 2 == 1 => r"\fB",
                _ => r"\fR",
            });
            out.push_str(part);
        }
        out + "\n"
    };
    page.lines().map(emphasise).collect()
}
