//! `holster inspect`: what is in a component.

use std::path::PathBuf;

use holster_core::types::ComponentHash;
use holster_core::{inspect, open_runtime, read_component};
use serde_json::json;

use crate::exit::Exit;
use crate::{Global, print};

/// Show what a component imports, exports and offers, schemas included.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A `.wasm` file.
    file: PathBuf,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let file = arguments.file;
    let failed =
        |error: &dyn std::fmt::Display| Exit::failed(format!("{}: {error}", file.display()));
    let bytes = read_component(&file).map_err(|error| failed(&error))?;
    let interface = inspect(&bytes).map_err(|error| failed(&error))?;
    let (hash, size) = (ComponentHash::of(&bytes), bytes.len() as u64);
    let runtime = open_runtime(&global.config()?).map_err(Exit::usage)?;
    let component = runtime
        .load(hash, move || Ok(bytes), |_| {})
        .await
        .map_err(|error| failed(&error))?;
    if global.json {
        return print::json(&json!({
            "file": file, "hash": hash, "bytes": size, "version": interface.version,
            "imports": interface.imports, "exports": interface.exports, "tools": component.tools(),
        }));
    }
    print::line(&format!(
        "{}\n  hash     {hash}\n  size     {}",
        file.display(),
        print::bytes(size)
    ))?;
    print::line(&format!(
        "  world    holster:plugin/plugin@{}",
        interface.version
    ))?;
    print::line(&format!(
        "  imports  {}",
        interface.imports.join("\n           ")
    ))?;
    for tool in component.tools() {
        print::line(&format!(
            "\n{}\n  {}",
            tool.name,
            print::harmless(&tool.description).replace('\n', "\n  ")
        ))?;
        for need in &tool.requirements {
            print::line(&format!("  account  {} {}", need.provider, need.scopes))?;
        }
        let schema = |schema| {
            serde_json::to_string_pretty(schema).map(|text| text.replace('\n', "\n           "))
        };
        print::line(&format!(
            "  input    {}",
            schema(&tool.input_schema).map_err(Exit::failed)?
        ))?;
        if let Some(output) = &tool.output_schema {
            print::line(&format!(
                "  output   {}",
                schema(output).map_err(Exit::failed)?
            ))?;
        }
    }
    Ok(())
}
