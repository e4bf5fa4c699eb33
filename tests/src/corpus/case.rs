//! What a case is, and how what happened is held against what must happen.

use std::fmt;

use super::guest::{self, Tool};
use crate::{Fixture, section_of};

/// One hostile file.
pub struct Case {
    /// The name of the component, and of its tool if it lists one.
    pub name: &'static str,
    /// What it tries, after "it".
    pub tries: &'static str,
    /// What must come of it.
    pub must: Must,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What must come of a case. The texts are what the reason has to contain.
#[derive(Debug, Clone, Copy)]
pub enum Must {
    /// The file is reported and not served.
    BeRefused(&'static str),
    /// The file is served, and a call of its tool fails in this [way](holster_core::Failure::kind).
    Fail(&'static str, &'static str),
    /// The file is served, and a call of its tool gives an answer that holds this.
    Answer(&'static str),
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// The file was reported, for this reason.
    Refused(String),
    /// A call of its tool failed.
    Failed {
        /// In this way.
        kind: &'static str,
        /// For this reason.
        reason: String,
    },
    /// A call of its tool gave this.
    Answered(String),
}

impl Case {
    /// A case of a component whose tool is called.
    pub(super) fn call(name: &'static str, tries: &'static str, must: Must, fields: &str) -> Self {
        let fields = format!("{}\n\n{fields}", guest::listing(&[Tool::called(name)]));
        let bytes = guest::guest(&fields);
        Self {
            name,
            tries,
            must,
            bytes,
        }
    }

    /// A case of a component that does its worst when its tools are listed.
    pub(super) fn list(
        name: &'static str,
        tries: &'static str,
        must: Must,
        tools: &[Tool],
    ) -> Self {
        let bytes = guest::guest(&guest::listing(tools));
        Self {
            name,
            tries,
            must,
            bytes,
        }
    }

    /// A case of a file with these bytes.
    pub(super) fn bytes(
        name: &'static str,
        tries: &'static str,
        must: Must,
        bytes: Vec<u8>,
    ) -> Self {
        Self {
            name,
            tries,
            must,
            bytes,
        }
    }

    /// The name of the component that one of its copies is.
    pub(super) fn component(&self, copy: usize) -> String {
        match copy {
            0 => self.name.to_owned(),
            // What comes after the first by name leaves the tool to it.
            copy => format!("{}-{copy}", self.name),
        }
    }

    /// Puts a copy into the plugin directory. Each note makes other bytes of it, of which nothing is known. An empty file stays one.
    pub(super) fn plug_into(&self, fixture: &Fixture, copy: usize, note: &str) {
        let note = if self.bytes.is_empty() {
            Vec::new()
        } else {
            section_of(note)
        };
        fixture.plug_in_pieces(&[&self.bytes, &note], &self.file(copy));
    }

    /// The file of that component in a plugin directory.
    pub(super) fn file(&self, copy: usize) -> String {
        format!("{}.wasm", self.component(copy))
    }
}

impl Must {
    /// Whether that is what must happen.
    pub fn is_met_by(&self, happened: &Happened) -> bool {
        match (self, happened) {
            (Self::BeRefused(text), Happened::Refused(reason)) => reason.contains(text),
            (Self::Fail(must, text), Happened::Failed { kind, reason }) => {
                must == kind && reason.contains(text)
            }
            (Self::Answer(text), Happened::Answered(answer)) => answer.contains(text),
            _ => false,
        }
    }
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeRefused(_) => f.write_str("not served"),
            Self::Fail(kind, _) => write!(f, "fails: `{kind}`"),
            Self::Answer(_) => f.write_str("answers"),
        }
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "not served: {reason}"),
            Self::Failed { kind, reason } => write!(f, "fails: `{kind}`: {reason}"),
            Self::Answered(answer) => write!(f, "answers: {answer}"),
        }
    }
}
