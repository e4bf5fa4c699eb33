//! For scripts: `{"passed": …, "files": […]}`, with the fields of the reports.

use serde::Serialize;

use crate::conformance::{FileReport, passed};

#[derive(Serialize)]
struct Document<'a> {
    passed: bool,
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct File<'a> {
    passed: bool,
    #[serde(flatten)]
    report: &'a FileReport,
}

impl<'a> From<&'a FileReport> for File<'a> {
    fn from(report: &'a FileReport) -> Self {
        Self {
            passed: report.passed(),
            report,
        }
    }
}

/// The reports as one JSON document.
pub fn json(reports: &[FileReport]) -> String {
    let document = Document {
        passed: passed(reports),
        files: reports.iter().map(File::from).collect(),
    };
    let text = serde_json::to_string_pretty(&document).expect("a report has no keys but texts");
    text + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::example;

    #[test]
    fn a_script_finds_what_it_needs() {
        let reports = example::reports();
        let document: Value = serde_json::from_str(&super::json(&reports)).unwrap();
        assert_eq!(document["passed"], false);
        let [good, bad] = &document["files"].as_array().unwrap()[..] else {
            panic!("not two files");
        };
        assert_eq!(good["passed"], true);
        assert_eq!(good["path"], "dist/slack messages.wasm");
        assert_eq!(good["tools"], json!(["post"]));
        assert_eq!(good["hash"], json!(reports[0].hash));
        assert_eq!(good["findings"][0]["severity"], "warning");
        assert_eq!(bad["passed"], false);
        assert_eq!(bad["findings"][0]["rule"], "component");
        assert_eq!(bad["findings"][0]["place"], "byte 123");
        assert_eq!(bad["findings"][0]["remedy"], "build it anew");
        assert_eq!(bad["unchecked"][0], "imports");
    }
}
