//! `holster completions`: for the shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;

/// Print completions for a shell.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which shell.
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) {
    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "holster",
        &mut std::io::stdout(),
    );
}
