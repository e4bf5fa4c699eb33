//! Why the host would refuse a component, as findings: which rule, where, and what to do.

use holster_runtime::{InvalidComponent, InvalidTool, LoadError};
use holster_types::ToolName;

use super::{Finding, Place, Rule, Severity};

const BUILD_FOR_THE_WORLD: &str =
    "build it for the world `holster:plugin/plugin`, with a guest SDK or from `wit/`";
const PURE: &str = "let `list-tools` depend on the code alone: no clock, no random numbers, no network, no settings, \
                    and no order that changes from run to run, such as a hash map's";

/// What is wrong with a component that cannot be loaded: at least one error, all of one rule.
pub(super) fn findings(error: &LoadError) -> Vec<Finding> {
    let one = |rule, place, remedy| vec![self::error(rule, place, error.to_string(), remedy)];
    match error {
        LoadError::Read(_) | LoadError::Changed => {
            one(Rule::Component, Place::File, "name a file that can be read")
        }
        LoadError::Compile(_) => one(
            Rule::Component,
            Place::File,
            "build it anew with current tools; if it still does not compile, report it with the file",
        ),
        LoadError::Link(reason) => match unlinked_import(reason) {
            Some(import) => one(
                Rule::Imports,
                Place::Import(import.to_owned()),
                "build it for the versions of the interfaces that are in `wit/world.wit`",
            ),
            None => one(Rule::ToolExport, Place::Exports, BUILD_FOR_THE_WORLD),
        },
        LoadError::Discover(_) => one(Rule::PureDiscovery, Place::ListTools, PURE),
        LoadError::Component(invalid) => component(invalid),
        LoadError::Tools(invalid) => vec![tool(invalid)],
    }
}

/// The tools were listed once, and not again.
pub(super) fn second_discovery(error: &LoadError) -> Finding {
    let message = format!("the second time: {error}");
    self::error(Rule::PureDiscovery, Place::ListTools, message, PURE)
}

/// The tools were listed twice, and not alike.
pub(super) fn unlike(place: Place, message: &str) -> Finding {
    error(Rule::PureDiscovery, place, message.to_owned(), PURE)
}

fn error(rule: Rule, place: Place, message: String, remedy: &str) -> Finding {
    Finding {
        rule,
        severity: Severity::Error,
        place,
        message,
        remedy: remedy.to_owned(),
    }
}

/// The import that did not find its match. The linker's errors are texts: those about imports say "component
/// imports … `NAME`", all others are about exports.
fn unlinked_import(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("component imports ")?;
    rest.split('`').nth(1)
}

fn component(invalid: &InvalidComponent) -> Vec<Finding> {
    let text = |text: &str| text.to_owned();
    let finding = match invalid {
        InvalidComponent::Imports { imports } => {
            let foreign = |import: &String| {
                error(
                    Rule::Imports,
                    Place::Import(import.clone()),
                    text("the world `holster:plugin/plugin` does not offer it"),
                    "do without it; accounts come from `holster:plugin/auth`, requests go through `wasi:http`, and \
                     all that is offered is in `wit/world.wit`",
                )
            };
            return imports.iter().map(foreign).collect();
        }
        InvalidComponent::TooLarge { .. } => error(
            Rule::Size,
            Place::File,
            invalid.to_string(),
            "build with optimisation for size, and fetch large data instead of carrying it",
        ),
        InvalidComponent::Empty | InvalidComponent::NotWasm => error(
            Rule::Component,
            Place::Byte(0),
            invalid.to_string(),
            "name the `.wasm` file that the build makes; text (`.wat`) has to be assembled first",
        ),
        InvalidComponent::CoreModule => error(
            Rule::Component,
            Place::Byte(4),
            text("this is a core module, not a component"),
            "build it for wasm32-wasip2, or turn it into a component with `wasm-tools component new`",
        ),
        InvalidComponent::Invalid { offset, reason } => error(
            Rule::Component,
            Place::Byte(*offset),
            format!("this is not valid: {reason}"),
            "build it anew: the file is truncated or damaged, or was made by a tool that does not fit",
        ),
        InvalidComponent::NoTool { .. } => error(
            Rule::ToolExport,
            Place::Exports,
            invalid.to_string(),
            BUILD_FOR_THE_WORLD,
        ),
        InvalidComponent::Version { .. } => error(
            Rule::ToolExport,
            Place::Exports,
            invalid.to_string(),
            "build it with a guest SDK of one of these versions, or check it with a host that serves its own",
        ),
    };
    vec![finding]
}

fn tool(invalid: &InvalidTool) -> Finding {
    let message = without_place(&invalid.to_string());
    let of = |tool: &ToolName| Place::Tool(tool.clone());
    let part = |tool: &ToolName, part: &str| Place::Part(tool.clone(), part.to_owned());
    match invalid {
        InvalidTool::None | InvalidTool::TooMany(_) => error(
            Rule::ToolExport,
            Place::ListTools,
            message,
            "offer at least one tool, and divide more than 256 among several components",
        ),
        InvalidTool::Name { position, .. } => error(
            Rule::Names,
            Place::Nth(*position),
            message,
            "rename the tool to 1 to 64 characters of `A-Z a-z 0-9 _ -`",
        ),
        InvalidTool::DuplicateName(name) => {
            error(Rule::Names, of(name), message, "rename one of the two")
        }
        InvalidTool::Size {
            tool, part: what, ..
        } => {
            let (rule, remedy) = match *what {
                "scope" => (
                    Rule::Requirements,
                    "name each scope as its provider spells it",
                ),
                "description" | "title" => (
                    Rule::Descriptions,
                    "say in a few sentences what the tool does, and leave the manual elsewhere",
                ),
                _ => (
                    Rule::Schemas,
                    "give a smaller schema, or take fewer parameters",
                ),
            };
            error(rule, part(tool, what), message, remedy)
        }
        InvalidTool::NotJson {
            tool, part: what, ..
        } => error(
            Rule::Schemas,
            part(tool, what),
            message,
            "let the guest SDK derive the schema, or write it as JSON",
        ),
        InvalidTool::NotObjectSchema { tool, part: what } => error(
            Rule::Schemas,
            part(tool, what),
            message,
            "describe an object with `properties`; wrap a value of another type in one",
        ),
        InvalidTool::Schema {
            tool, part: what, ..
        } => error(
            Rule::Schemas,
            part(tool, what),
            message,
            "correct the keyword that the message names; JSON Schema 2020-12 defines what it may hold",
        ),
        InvalidTool::Intricate => error(
            Rule::Schemas,
            Place::ListTools,
            message,
            "write out what is referred to from many places, or leave some of it out",
        ),
        InvalidTool::Provider { tool, position, .. } => error(
            Rule::Requirements,
            part(tool, &format!("requirement {position}")),
            message,
            "use a provider's id as `holster providers` lists it",
        ),
        InvalidTool::DuplicateRequirement { tool, .. } => error(
            Rule::Requirements,
            of(tool),
            message,
            "unite the scopes in one requirement",
        ),
        InvalidTool::Count { tool, .. } => error(
            Rule::Requirements,
            of(tool),
            message,
            "divide the tool into several that need less each",
        ),
    }
}

/// The message without the tool that it begins with: the place says it.
fn without_place(message: &str) -> String {
    match message.split_once(": ") {
        Some((place, rest)) if place.starts_with("tool ") => rest.to_owned(),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use holster_runtime::inspect;

    use super::*;
    use crate::conformance::FileReport;

    #[test]
    fn a_broken_file_breaks_one_rule_at_one_place_and_has_a_remedy() {
        for (bytes, rule, place) in [
            (&b""[..], Rule::Component, "byte 0"),
            (b"(component)", Rule::Component, "byte 0"),
            (b"\0asm\x01\0\0\0", Rule::Component, "byte 4"),
            (b"\0asm\x0d\0\x01\0\xff\xff\xff", Rule::Component, "byte "),
            (b"\0asm\x0d\0\x01\0", Rule::ToolExport, "exports"),
        ] {
            let error = inspect(bytes).unwrap_err().into();
            let [finding] = &findings(&error)[..] else {
                panic!("{bytes:?}: not one finding");
            };
            assert_eq!(finding.rule, rule, "{bytes:?}");
            assert!(finding.place.to_string().starts_with(place), "{finding:?}");
            assert!(!finding.message.is_empty() && !finding.remedy.is_empty());
        }
    }

    #[test]
    fn every_foreign_import_is_a_finding_of_its_own() {
        let imports = vec!["wasi:nn/tensor@0.2.0".to_owned(), "my:own/thing".to_owned()];
        let found = findings(&InvalidComponent::Imports { imports }.into());
        let places: Vec<_> = found.iter().map(|found| found.place.to_string()).collect();
        assert_eq!(
            places,
            ["import `wasi:nn/tensor@0.2.0`", "import `my:own/thing`"]
        );
    }

    #[test]
    fn a_failure_to_link_is_told_by_the_import_or_the_export() {
        for (reason, rule, place) in [
            (
                "component imports instance `wasi:http/types@0.3.0`, but a matching implementation was not found",
                Rule::Imports,
                "import `wasi:http/types@0.3.0`",
            ),
            (
                "instance export `holster:plugin/tool@0.1.0` does not have export `call`",
                Rule::ToolExport,
                "exports",
            ),
        ] {
            let found = findings(&LoadError::Link(reason.to_owned()));
            assert_eq!(found[0].rule, rule);
            assert_eq!(found[0].place.to_string(), place);
        }
    }

    #[test]
    fn a_place_is_not_said_twice() {
        let tool = ToolName::new("search").unwrap();
        let part = "input schema";
        for (invalid, place, message) in [
            (
                InvalidTool::NotObjectSchema {
                    tool: tool.clone(),
                    part,
                },
                "tool `search`, input schema",
                "the input schema must be",
            ),
            (
                InvalidTool::DuplicateName(tool),
                "tool `search`",
                "two tools are called `search`",
            ),
        ] {
            let finding = super::tool(&invalid);
            assert_eq!(finding.place.to_string(), place);
            assert!(finding.message.starts_with(message), "{}", finding.message);
        }
    }

    #[test]
    fn what_builds_on_a_broken_rule_is_left_unchecked() {
        let mut report = FileReport::new(Path::new("a.wasm"));
        report.hash = Some(holster_types::ComponentHash::of(b""));
        let report = report.stopped_by(findings(&InvalidTool::None.into()));
        assert!(!report.passed());
        assert_eq!(
            report.unchecked,
            [
                Rule::Imports,
                Rule::PureDiscovery,
                Rule::Names,
                Rule::Descriptions,
                Rule::Schemas,
                Rule::Requirements
            ]
        );
    }
}
