//! Conformance: would this host serve that file, and what should its author mend first?
//!
//! [`Checker::check`] holds a component against every [`Rule`], in the order in which the host itself would come to
//! them, and says for each breach where it is and what to do. It instantiates the component to list its tools, never
//! to call one. How a report is written is left to [`report`]; who reads it, to the fronts.

mod finding;
mod refusal;
pub mod report;
mod rule;
mod tools;

use std::path::Path;

use holster_broker::Providers;
use holster_runtime::{
    Interface, LoadError, LoadedComponent, Runtime, in_background, inspect, read_component,
};
use holster_types::{ComponentHash, ComponentName};

pub use self::finding::{FileReport, Finding, Place, Severity, passed};
pub use self::rule::Rule;

/// Python components have 18 MiB. What is larger takes long to distribute and to compile.
const LARGE_BYTES: usize = 32 << 20;

/// Checks files against the rules.
pub struct Checker<'a> {
    runtime: &'a Runtime,
    providers: &'a Providers,
}

impl<'a> Checker<'a> {
    /// A checker whose components are compiled by `runtime`, into its cache, and require accounts of `providers`.
    pub fn new(runtime: &'a Runtime, providers: &'a Providers) -> Self {
        Self { runtime, providers }
    }

    /// Checks one file. Where it breaks a rule that others build on, those are left unchecked, and the report says so.
    pub async fn check(&self, file: &Path) -> FileReport {
        let mut report = FileReport::new(file);
        report.findings.extend(file_name(file));
        let bytes = match read_component(file) {
            Ok(bytes) => bytes,
            Err(error) => return report.stopped_by(refusal::findings(&error)),
        };
        let hash = ComponentHash::of(&bytes);
        report.hash = Some(hash);
        report.bytes = bytes.len() as u64;
        report.findings.extend(size(bytes.len()));
        match self.load(hash, bytes).await {
            Err(error) => report.stopped_by(refusal::findings(&error)),
            Ok((interface, component)) => {
                report.findings.extend(refused_imports(&interface));
                report.findings.extend(self.discovery(&component).await);
                let unknown = |id: &_| self.providers.get(id).err().map(|error| error.to_string());
                for tool in component.tools() {
                    report.findings.extend(tools::findings(tool, &unknown));
                    report.tools.push(tool.name.clone());
                }
                report
            }
        }
    }

    /// What the host does with a file in its plugin directory. The file is inspected even where its code is cached.
    async fn load(
        &self,
        hash: ComponentHash,
        bytes: Vec<u8>,
    ) -> Result<(Interface, std::sync::Arc<LoadedComponent>), LoadError> {
        let (interface, bytes) = in_background(move || (inspect(&bytes), bytes)).await;
        let interface = interface?;
        let component = self.runtime.load(hash, || Ok(bytes), |_| {}).await?;
        Ok((interface, component))
    }

    /// Whether the tools stay the same when they are listed again.
    async fn discovery(&self, component: &LoadedComponent) -> Vec<Finding> {
        match self.runtime.discover_again(component).await {
            Ok(again) => tools::changed(component.tools(), &again),
            Err(error) => vec![refusal::second_discovery(&error)],
        }
    }
}

/// The plugin directory names components by their files.
fn file_name(file: &Path) -> Option<Finding> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let served = file
        .extension()
        .is_some_and(|extension| extension == "wasm");
    let message = match ComponentName::new(stem.as_ref()) {
        Err(error) => error.to_string(),
        Ok(_) if !served => "the file's name does not end in `.wasm`".to_owned(),
        Ok(_) => return None,
    };
    Some(Finding {
        rule: Rule::Names,
        severity: Severity::Warning,
        place: Place::File,
        message: format!("{message}; a plugin directory passes over this file"),
        remedy: "rename the file to 1 to 128 characters of `A-Z a-z 0-9 _ -` and `.wasm`"
            .to_owned(),
    })
}

fn size(bytes: usize) -> Option<Finding> {
    (bytes > LARGE_BYTES).then(|| Finding {
        rule: Rule::Size,
        severity: Severity::Warning,
        place: Place::File,
        message: format!(
            "the file has {} MiB; more than {} MiB take long to distribute and to compile",
            bytes >> 20,
            LARGE_BYTES >> 20
        ),
        remedy: "build with optimisation for size, strip debug information and leave out data and dependencies that \
                 no tool needs"
            .to_owned(),
    })
}

/// One finding for all of them: a language's library links them as a group, wanted or not.
fn refused_imports(interface: &Interface) -> Option<Finding> {
    let refused: Vec<_> = interface
        .refused_imports()
        .map(|import| import.trim_start_matches("wasi:sockets/"))
        .map(|name| name.split('@').next().unwrap_or(name))
        .collect();
    (!refused.is_empty()).then(|| Finding {
        rule: Rule::Imports,
        severity: Severity::Warning,
        place: Place::Import("wasi:sockets/*".to_owned()),
        message: format!(
            "it is linked ({}), and every one of its operations is refused",
            refused.join(", ")
        ),
        remedy: "send requests through `wasi:http`; ignore this where only the language's own library links sockets, \
                 as Python's does"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_plugin_directory_passes_over_is_told() {
        for (name, message) in [
            ("a b.wasm", Some("`a b` is not a component name")),
            (".hidden.wasm", Some("`.hidden` is not a component name")),
            ("tool.wat", Some("does not end in `.wasm`")),
            ("slack-messages.wasm", None),
        ] {
            let found = file_name(Path::new(name));
            assert_eq!(found.is_some(), message.is_some(), "{name}");
            if let (Some(found), Some(message)) = (found, message) {
                assert!(found.message.contains(message), "{}", found.message);
            }
        }
    }

    #[test]
    fn a_large_file_is_a_warning_and_sockets_are_one() {
        assert_eq!(size(LARGE_BYTES), None);
        assert_eq!(size(LARGE_BYTES + 1).unwrap().severity, Severity::Warning);
        let interface = |imports: &[&str]| Interface {
            imports: imports.iter().map(ToString::to_string).collect(),
            exports: Vec::new(),
            version: "0.1.0".to_owned(),
        };
        assert_eq!(refused_imports(&interface(&["wasi:io/poll@0.2.12"])), None);
        let found = refused_imports(&interface(&[
            "wasi:sockets/tcp@0.2.12",
            "wasi:sockets/udp@0.2.12",
        ]))
        .unwrap();
        assert!(found.message.contains("(tcp, udp)"));
    }

    #[test]
    fn what_cannot_be_read_breaks_the_first_rule_and_leaves_the_others_unchecked() {
        for path in ["/nowhere/at/all.wasm", "/"] {
            let error = read_component(Path::new(path)).unwrap_err();
            let report = FileReport::new(Path::new(path)).stopped_by(refusal::findings(&error));
            assert_eq!(report.findings[0].rule, Rule::Component);
            assert_eq!(report.unchecked.len(), Rule::ALL.len() - 1);
        }
    }
}
