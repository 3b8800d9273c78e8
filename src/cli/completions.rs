//! `oneseat completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure, output};

/// Arguments of `oneseat completions`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  In bash, for this shell alone:
    source <(oneseat completions bash)
  For good, for you alone:
    oneseat completions bash > ~/.local/share/bash-completion/completions/oneseat
    oneseat completions fish > ~/.config/fish/completions/oneseat.fish
  In zsh, for everybody, before `compinit` runs:
    oneseat completions zsh > /usr/local/share/zsh/site-functions/_oneseat")]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "oneseat", &mut script);
        output::text(&script)
    }
}
