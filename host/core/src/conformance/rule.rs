//! The rules that a component is held against.
//!
//! Their ids are stable: configurations, baselines and dashboards name them. A rule says what is required and why;
//! where and how a component breaks it is a finding's to say.

use std::fmt;

use serde::{Serialize, Serializer};

/// A rule of conformance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "`Rule::doc` says it")]
pub enum Rule {
    Size,
    Component,
    Imports,
    ToolExport,
    PureDiscovery,
    Names,
    Descriptions,
    Schemas,
    Requirements,
}

impl Rule {
    /// All rules, in the order in which they are checked.
    pub const ALL: [Rule; 9] = [
        Rule::Size,
        Rule::Component,
        Rule::Imports,
        Rule::ToolExport,
        Rule::PureDiscovery,
        Rule::Names,
        Rule::Descriptions,
        Rule::Schemas,
        Rule::Requirements,
    ];

    /// The stable id.
    pub const fn id(self) -> &'static str {
        match self {
            Rule::Size => "size",
            Rule::Component => "component",
            Rule::Imports => "imports",
            Rule::ToolExport => "tool-export",
            Rule::PureDiscovery => "pure-discovery",
            Rule::Names => "names",
            Rule::Descriptions => "descriptions",
            Rule::Schemas => "schemas",
            Rule::Requirements => "requirements",
        }
    }

    /// What is required.
    pub const fn summary(self) -> &'static str {
        match self {
            Rule::Size => "The file is not too large.",
            Rule::Component => "The file is a valid WebAssembly component.",
            Rule::Imports => {
                "The component imports nothing from outside the world `holster:plugin/plugin`."
            }
            Rule::ToolExport => {
                "The component exports `holster:plugin/tool` in a supported version."
            }
            Rule::PureDiscovery => "`list-tools` answers, and always the same.",
            Rule::Names => "Components and tools have names that agents accept.",
            Rule::Descriptions => "Tools and parameters say what they are for.",
            Rule::Schemas => {
                "Arguments and answers are described by JSON Schemas (2020-12) of type `object`."
            }
            Rule::Requirements => "Tools require accounts of known providers only.",
        }
    }

    /// What is required, precisely, and why.
    pub const fn doc(self) -> &'static str {
        match self {
            Rule::Size => {
                "The host refuses components above 128 MiB. Above 32 MiB, a component is slow to distribute and to \
                 compile: a warning."
            }
            Rule::Component => {
                "The file validates as a binary of the WebAssembly component model and compiles. Core modules, text \
                 and truncated files are no components."
            }
            Rule::Imports => {
                "The world `holster:plugin/plugin` is all that a host offers; what imports more cannot be \
                 instantiated. `wasi:sockets` is linked, because language libraries import it whether a tool uses it \
                 or not, but every one of its operations is refused: a warning."
            }
            Rule::ToolExport => {
                "The export has exactly the types of `wit/tool.wit`, in a version that this host serves, and lists 1 \
                 to 256 tools. Other exports are allowed and not used."
            }
            Rule::PureDiscovery => {
                "The host lists the tools of a component once and keeps the answer by the component's hash. So the \
                 answer may depend on nothing but the code: `list-tools` has no account, no network and no settings, \
                 5 s and 128 MiB. It is run once with clocks that stand still and once with clocks and random \
                 numbers of the day, in separate instances, and both answers must be equal."
            }
            Rule::Names => {
                "Tools are called by 1 to 64 characters of `A-Z a-z 0-9 _ -`, unique within the component. A file \
                 whose name is not 1 to 128 such characters and `.wasm` is passed over by the plugin directory: a \
                 warning."
            }
            Rule::Descriptions => {
                "A tool's description has 1 to 8,192 bytes. A model chooses tools and fills in arguments by what is \
                 said of them: a description of fewer than 10 characters and a parameter without one are warnings."
            }
            Rule::Schemas => {
                "Every tool has an input schema and may have an output schema: valid JSON Schema 2020-12, `\"type\": \
                 \"object\"`, at most 64 KiB. Without `\"additionalProperties\": false` a misspelt argument passes \
                 unseen: a warning for the input, a note for the output."
            }
            Rule::Requirements => {
                "A tool requires at most 16 providers, each once and each known to this host, with at most 64 scopes \
                 of 1 to 256 bytes. A provider that only one site knows is a file that the operator adds."
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
