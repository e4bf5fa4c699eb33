//! Reports, written for their readers: a person, a script, a code scanner, a test dashboard.
//!
//! Each format is a pure function of the reports, without colours, and ends with a line break. All hold the same
//! findings. What an untrusted component says of itself cannot break out of any of them.

mod json;
mod junit;
mod sarif;
mod text;

pub use self::json::json;
pub use self::junit::junit;
pub use self::sarif::sarif;
pub use self::text::{rules, text};

#[cfg(test)]
mod example {
    use std::path::Path;

    use holster_types::{ComponentHash, ToolName};

    use crate::conformance::{FileReport, Finding, Place, Rule, Severity};

    /// A component that conforms, with a warning, and a file that does not.
    pub(super) fn reports() -> [FileReport; 2] {
        let mut good = FileReport::new(Path::new("dist/slack messages.wasm"));
        good.hash = Some(ComponentHash::of(b"good"));
        good.bytes = 18 << 20;
        good.tools = vec![ToolName::new("post").unwrap()];
        good.findings = vec![Finding {
            rule: Rule::Imports,
            severity: Severity::Warning,
            place: Place::Import("wasi:sockets/*".to_owned()),
            message: "it is refused".to_owned(),
            remedy: "ignore it".to_owned(),
        }];
        let mut bad = FileReport::new(Path::new("/tmp/<bad>&\"file\".wasm"));
        bad.hash = Some(ComponentHash::of(b"bad"));
        bad.bytes = 200;
        let bad = bad.stopped_by(vec![Finding {
            rule: Rule::Component,
            severity: Severity::Error,
            place: Place::Byte(123),
            message: "]]> \u{1b}[31m<script> & so on\u{0}".to_owned(),
            remedy: "build it anew".to_owned(),
        }]);
        [good, bad]
    }
}
