//! What a file claims to be, read before any of it is compiled.
//!
//! [`inspect`] accepts a valid component that exports a supported `holster:plugin/tool` and imports nothing from
//! outside the world. The exact types are checked when the component is linked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::tool::ToolDefinition;

/// The interfaces that a component may import, without version: the world `plugin` of `wit/world.wit`.
pub const WORLD_IMPORTS: &[&str] = &[
    "holster:plugin/auth",
    "holster:plugin/session",
    "wasi:config/store",
    "wasi:http/types",
    "wasi:http/outgoing-handler",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
];

/// CPython's C library imports sockets whether a tool uses them or not. They are linked, and every one of their
/// operations is refused.
const REFUSED_IMPORTS: &str = "wasi:sockets/";

const TOOL: &str = "holster:plugin/tool";
/// The minor versions of the package that this host serves.
const SUPPORTED: &[&str] = &["0.1"];

/// The largest component that is read. CPython's is 18 MB.
pub(crate) const COMPONENT_BYTES: usize = 128 << 20;

/// What a component imports and exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The names of the imported interfaces, with version.
    pub imports: Vec<String>,
    /// The names of everything exported, with version.
    pub exports: Vec<String>,
    /// The version of `holster:plugin` that the component was built for.
    pub version: String,
}

impl Interface {
    /// The imports whose every operation is refused at run time.
    pub fn refused_imports(&self) -> impl Iterator<Item = &str> {
        self.imports
            .iter()
            .map(String::as_str)
            .filter(|import| import.starts_with(REFUSED_IMPORTS))
    }
}

/// Why a file is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidComponent {
    #[error("the file is empty")]
    Empty,
    #[error("the file has {size} bytes; a component has at most {COMPONENT_BYTES}")]
    TooLarge { size: usize },
    #[error("this is not WebAssembly: the file does not begin with `\\0asm`")]
    NotWasm,
    #[error(
        "this is a core module, not a component; build it for wasm32-wasip2, or turn it into a component with \
         `wasm-tools component new`"
    )]
    CoreModule,
    #[error("invalid at byte {offset}: {reason}")]
    Invalid { offset: usize, reason: String },
    #[error(
        "it exports no `{TOOL}` interface, only {}; build it for the world `holster:plugin/plugin`",
        list(exports)
    )]
    NoTool { exports: Vec<String> },
    #[error(
        "it exports `{TOOL}@{found}`; this host serves versions {}",
        list(SUPPORTED)
    )]
    Version { found: String },
    #[error(
        "it imports {}, which the world `holster:plugin/plugin` does not offer",
        list(imports)
    )]
    Imports { imports: Vec<String> },
}

/// A list of names in an error text.
fn list(names: &[impl AsRef<str>]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let quoted: Vec<_> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref().escape_debug()))
        .collect();
    quoted.join(", ")
}

/// What is known of a component without its code, which the code cache keeps beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The interfaces that it imports.
    pub imports: BTreeSet<String>,
    /// Its tools, in the order in which it lists them.
    pub tools: Vec<ToolDefinition>,
}

/// Reads what a component imports and exports. Validates all of it, compiles none.
pub fn inspect(bytes: &[u8]) -> Result<Interface, InvalidComponent> {
    check_header(bytes)?;
    let invalid = |error: wasmparser::BinaryReaderError| InvalidComponent::Invalid {
        offset: error.offset(),
        // It may quote a name from the file, whatever is in it.
        reason: error.message().replace(char::is_control, " "),
    };
    Validator::new_with_features(WasmFeatures::default())
        .validate_all(bytes)
        .map_err(invalid)?;
    let (imports, exports) = outer_names(bytes).map_err(invalid)?;
    let version = supported_version(&exports)?;
    let foreign: Vec<_> = imports
        .iter()
        .filter(|import| !is_offered(import))
        .cloned()
        .collect();
    if foreign.is_empty() {
        Ok(Interface {
            imports,
            exports,
            version,
        })
    } else {
        Err(InvalidComponent::Imports { imports: foreign })
    }
}

fn check_header(bytes: &[u8]) -> Result<(), InvalidComponent> {
    match bytes.len() {
        0 => Err(InvalidComponent::Empty),
        size if size > COMPONENT_BYTES => Err(InvalidComponent::TooLarge { size }),
        _ if !bytes.starts_with(b"\0asm") => Err(InvalidComponent::NotWasm),
        _ if Parser::is_core_wasm(bytes) => Err(InvalidComponent::CoreModule),
        _ => Ok(()),
    }
}

/// The imports and exports of the outermost component.
fn outer_names(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), wasmparser::BinaryReaderError> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version {
                encoding: Encoding::Component | Encoding::Module,
                ..
            } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn supported_version(exports: &[String]) -> Result<String, InvalidComponent> {
    let mut versions = exports
        .iter()
        .filter_map(|export| export.strip_prefix(TOOL)?.strip_prefix('@'));
    let found = versions.next().ok_or_else(|| InvalidComponent::NoTool {
        exports: exports.to_vec(),
    })?;
    let minor = found.rsplit_once('.').map_or(found, |(minor, _)| minor);
    if SUPPORTED.contains(&minor) {
        Ok(found.to_owned())
    } else {
        Err(InvalidComponent::Version {
            found: found.to_owned(),
        })
    }
}

fn is_offered(import: &str) -> bool {
    let interface = import
        .split_once('@')
        .map_or(import, |(interface, _)| interface);
    WORLD_IMPORTS.contains(&interface) || interface.starts_with(REFUSED_IMPORTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_imports_is_the_worlds() {
        let world = include_str!("../../../wit/world.wit");
        let written: Vec<_> = world
            .lines()
            .filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'))
            .map(|import| {
                import
                    .split_once('@')
                    .map_or(import, |(interface, _)| interface)
            })
            .map(|interface| match interface {
                "auth" => "holster:plugin/auth",
                "session" => "holster:plugin/session",
                other => other,
            })
            .collect();
        assert_eq!(written, WORLD_IMPORTS);
    }

    #[test]
    fn what_is_no_component_is_refused_with_the_reason() {
        for (bytes, reason) in [
            (&b""[..], "empty"),
            (b"hello", "not WebAssembly"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\0asm\x0d\0\x01", "invalid at byte"),
            (
                b"\0asm\x0d\0\x01\0",
                "exports no `holster:plugin/tool` interface, only nothing",
            ),
            (b"\0asm\x0d\0\x01\0\xff\xff\xff", "invalid at byte"),
        ] {
            let error = inspect(bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{bytes:?}: {error}");
        }
    }
}
