//! `holster schema`: the JSON Schema of the configuration.

use holster_core::Config;

use crate::exit::Exit;
use crate::print;

/// Print the JSON Schema of `holster.toml`, for editors.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Result<(), Exit> {
    print::line(&serde_json::to_string_pretty(&Config::schema()).map_err(Exit::failed)?)
}
