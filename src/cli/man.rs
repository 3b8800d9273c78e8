//! `oneseat man`

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};

use super::{Cli, Failure, output};

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
    /// Write all pages into this directory, which must exist
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    output: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut program = Cli::command().disable_help_subcommand(true);
        program.build();
        if let Some(directory) = self.output {
            return clap_mangen::generate_to(program, &directory).map_err(|error| {
                Failure::failed(format!("cannot write to {}: {error}", directory.display()))
            });
        }
        let mut command = &program;
        for word in &self.command {
            let below = command.find_subcommand(word);
            command = below.ok_or_else(|| no_page(command, word))?;
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone())
            .render(&mut page)
            .map_err(Failure::failed)?;
        output::text(&page)
    }
}

/// Says which pages there are instead.
fn no_page(above: &Command, word: &str) -> Failure {
    // The name of the program itself is empty here.
    let name = above.get_bin_name().filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| above.get_name());
    let below: Vec<&str> = above.get_subcommands().map(Command::get_name).collect();
    Failure::WrongUsage(match below.is_empty() {
        true => format!(
            "there is no command `{name} {word}`: write `oneseat man{}`",
            name.trim_start_matches("oneseat")
        ),
        false => format!(
            "there is no command `{name} {word}`: write one of {} in its place",
            below.join(", ")
        ),
    })
}
