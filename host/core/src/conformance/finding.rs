//! What a check finds: a rule, a place, a message, a remedy.
//!
//! Messages may repeat what an untrusted component says of itself, as it says it. The formats of [`super::report`]
//! make it harmless, each for its own reader.

use std::fmt;
use std::path::{Path, PathBuf};

use holster_types::{ComponentHash, ToolName};
use serde::{Serialize, Serializer};

use super::Rule;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The component is served, with a disadvantage.
    Warning,
    /// The component does not conform: it is not served, or one of its tools can never be called.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Where in a component something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// An offset from the beginning of the file.
    Byte(usize),
    /// An import, by name.
    Import(String),
    /// The exports of the component.
    Exports,
    /// A function of the `tool` interface.
    ListTools,
    /// A tool that has no name yet, by position from 1.
    Nth(usize),
    /// A tool.
    Tool(ToolName),
    /// A part of a tool, such as a parameter.
    Part(ToolName, String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File => f.write_str("file"),
            Place::Byte(offset) => write!(f, "byte {offset}"),
            Place::Import(name) => write!(f, "import `{}`", name.escape_debug()),
            Place::Exports => f.write_str("exports"),
            Place::ListTools => f.write_str("`list-tools`"),
            Place::Nth(position) => write!(f, "tool {position}"),
            Place::Tool(tool) => write!(f, "tool `{tool}`"),
            Place::Part(tool, part) => write!(f, "tool `{tool}`, {part}"),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How much it matters.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// What was found in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file, as it was named.
    #[serde(serialize_with = "path_as_text")]
    pub path: PathBuf,
    /// The hash of its content; `None` if it could not be read.
    pub hash: Option<ComponentHash>,
    /// Its size; 0 if it could not be read.
    pub bytes: u64,
    /// What is wrong, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// The rules that were not checked, because of an error of a rule that they build on.
    pub unchecked: Vec<Rule>,
    /// The tools, in the order in which the component lists them.
    pub tools: Vec<ToolName>,
}

impl FileReport {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            hash: None,
            bytes: 0,
            findings: Vec::new(),
            unchecked: Vec::new(),
            tools: Vec::new(),
        }
    }

    /// The report of a check that ended here, with at least one error, all of one rule.
    pub(super) fn stopped_by(mut self, errors: Vec<Finding>) -> Self {
        let checked: &[Rule] = match errors.first().map(|error| error.rule) {
            Some(Rule::Component) if self.hash.is_some() => &[Rule::Size],
            Some(Rule::Imports | Rule::ToolExport) => &[Rule::Size, Rule::Component],
            None | Some(Rule::Size | Rule::Component) => &[],
            Some(_) => &[Rule::Size, Rule::Component, Rule::Imports, Rule::ToolExport],
        };
        self.findings.extend(errors);
        let broken = |rule: Rule| self.errors().any(|error| error.rule == rule);
        self.unchecked = Rule::ALL
            .into_iter()
            .filter(|rule| !checked.contains(rule) && !broken(*rule))
            .collect();
        self
    }

    /// Whether the component conforms: it breaks no rule, warnings aside.
    pub fn passed(&self) -> bool {
        self.errors().next().is_none()
    }

    /// How many findings there are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        let counted = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(counted).count()
    }

    fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
    }
}

/// Whether all components conform.
pub fn passed(reports: &[FileReport]) -> bool {
    reports.iter().all(FileReport::passed)
}

fn path_as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
