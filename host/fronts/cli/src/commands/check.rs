//! `holster check`: does a component conform?

use std::path::PathBuf;

use holster_core::{open_broker, open_runtime};

use crate::Global;
use crate::exit::Exit;

/// Check components against the world, and say what to mend. Exits with 1 if one does not conform.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// `.wasm` files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let config = global.config()?;
    let _ = (
        open_broker(&config).await,
        open_runtime(&config),
        arguments.files,
    );
    Err(Exit::failed("not yet"))
}
