//! For code scanners: SARIF 2.1.0 (OASIS), as small as it is valid.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::conformance::{FileReport, Finding, Place, Rule};

/// The reports as one SARIF log with one run.
pub fn sarif(reports: &[FileReport]) -> String {
    let results: Vec<_> = reports
        .iter()
        .flat_map(|report| {
            report
                .findings
                .iter()
                .map(|finding| result(report, finding))
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "holster",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": Rule::ALL.map(rule),
            }},
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(rule: Rule) -> Value {
    json!({
        "id": rule.id(),
        "shortDescription": { "text": rule.summary() },
        "fullDescription": { "text": rule.doc() },
    })
}

fn result(report: &FileReport, finding: &Finding) -> Value {
    json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == finding.rule),
        // SARIF's levels have the names of our severities.
        "level": finding.severity,
        "message": { "text": format!("{}: {}. Remedy: {}.", finding.place, finding.message, finding.remedy) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&report.path) },
                "region": region(&finding.place),
            },
            "logicalLocations": [{ "fullyQualifiedName": finding.place }],
        }],
    })
}

/// GitHub shows no result without a line; a binary file has one.
fn region(place: &Place) -> Value {
    match place {
        Place::Byte(offset) => json!({ "startLine": 1, "byteOffset": offset }),
        _ => json!({ "startLine": 1 }),
    }
}

/// A path as a URI reference (RFC 3986): relative where the path is.
fn uri(path: &Path) -> String {
    let path = path.to_string_lossy();
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => write!(uri, "%{byte:02X}").expect("a string takes all that is written"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn a_log_has_all_that_the_standard_requires() {
        let log: Value = serde_json::from_str(&sarif(&example::reports())).unwrap();
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        let driver = &run["tool"]["driver"];
        assert_eq!(driver["name"], "holster");
        let rules = driver["rules"].as_array().unwrap();
        assert_eq!(rules.len(), Rule::ALL.len());
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        for result in results {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
            assert!(result["message"]["text"].is_string());
        }
        let [warning, error] = &results[..] else {
            panic!("not two results");
        };
        let place = |result: &Value| result["locations"][0]["physicalLocation"].clone();
        assert_eq!(
            place(warning)["artifactLocation"]["uri"],
            "dist/slack%20messages.wasm"
        );
        assert_eq!(
            place(error)["artifactLocation"]["uri"],
            "file:///tmp/%3Cbad%3E%26%22file%22.wasm"
        );
        assert_eq!(place(error)["region"]["byteOffset"], 123);
    }

    #[test]
    fn a_run_without_files_is_a_valid_log() {
        let log: Value = serde_json::from_str(&sarif(&[])).unwrap();
        assert_eq!(log["runs"][0]["results"], json!([]));
    }
}
