//! `holster key`: keys with which programs call `holster serve`.

use clap::Subcommand;
use holster_callers::NewKey;
use holster_core::types::{ExposeSecret as _, ProfileName, TenantId};
use serde_json::json;

use crate::exit::Exit;
use crate::{Global, print};

/// Keys with which programs call `holster serve`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(New),
}

/// Make a key, and print it once, with what to write into the configuration.
#[derive(clap::Args)]
struct New {
    /// By which the operator knows the program. Letters, digits, `_` and `-`.
    name: ProfileName,
    /// The user that its requests are for.
    #[arg(long, default_value = "local")]
    tenant: TenantId,
    /// The profile that serves them, if the program may use no other.
    #[arg(long, short)]
    profile: Option<ProfileName>,
    /// Let it read `/metrics`, which tells of the calls of all users.
    #[arg(long)]
    metrics: bool,
}

pub(crate) fn run(global: &Global, arguments: &Arguments) -> Result<(), Exit> {
    let Command::New(new) = &arguments.command;
    let NewKey { key, digest } = NewKey::random();
    let key = key.expose_secret();
    if global.json {
        return print::json(&json!({ "name": new.name, "key": key, "sha256": digest.to_string() }));
    }
    print::line(key)?;
    let mut entry = format!(
        "\n[serve.keys.{}]\nsha256 = \"{digest}\"\ntenant = {:?}",
        new.name,
        new.tenant.as_str()
    );
    if let Some(profile) = &new.profile {
        entry = format!("{entry}\nprofile = \"{profile}\"");
    }
    if new.metrics {
        entry.push_str("\nmetrics = true");
    }
    // Apart from the key, so that either can be piped on.
    print::aside(format_args!(
        "It is not shown again. Write this into holster.toml, and start `holster serve` anew:\n{entry}"
    ));
    Ok(())
}
