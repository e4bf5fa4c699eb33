//! For test dashboards: `JUnit` XML, a suite for each file and a test for each rule.

use std::fmt::{self, Write as _};

use crate::conformance::{FileReport, Finding, Rule, Severity};

/// The reports as one `JUnit` document. A rule is a failed test if it has errors, a skipped one if it was not
/// checked; warnings and notes are the output of a test that passed.
pub fn junit(reports: &[FileReport]) -> String {
    let mut xml = String::new();
    write(&mut xml, reports).expect("a string takes all that is written");
    xml
}

fn write(xml: &mut String, reports: &[FileReport]) -> fmt::Result {
    let failures: usize = reports.iter().map(failures).sum();
    let tests = reports.len() * Rule::ALL.len();
    writeln!(xml, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        xml,
        r#"<testsuites name="holster check" tests="{tests}" failures="{failures}" errors="0">"#
    )?;
    for report in reports {
        suite(xml, report)?;
    }
    writeln!(xml, "</testsuites>")
}

fn suite(xml: &mut String, report: &FileReport) -> fmt::Result {
    let path = escaped(&report.path.to_string_lossy());
    writeln!(
        xml,
        r#"  <testsuite name="{path}" tests="{}" failures="{}" errors="0" skipped="{}">"#,
        Rule::ALL.len(),
        failures(report),
        report.unchecked.len()
    )?;
    for rule in Rule::ALL {
        test(xml, &path, rule, report)?;
    }
    writeln!(xml, "  </testsuite>")
}

fn test(xml: &mut String, path: &str, rule: Rule, report: &FileReport) -> fmt::Result {
    let (errors, others): (Vec<_>, Vec<_>) = report
        .findings
        .iter()
        .filter(|finding| finding.rule == rule)
        .partition(|finding| finding.severity == Severity::Error);
    write!(xml, r#"    <testcase classname="{path}" name="{rule}""#)?;
    if errors.is_empty() && others.is_empty() && !report.unchecked.contains(&rule) {
        return writeln!(xml, "/>");
    }
    writeln!(xml, ">")?;
    if report.unchecked.contains(&rule) {
        writeln!(xml, r#"      <skipped message="not checked"/>"#)?;
    }
    if let Some(first) = errors.first() {
        let message = escaped(&format!("{}: {}", first.place, first.message));
        let all = escaped(&lines(&errors));
        writeln!(
            xml,
            r#"      <failure type="{rule}" message="{message}">{all}</failure>"#
        )?;
    }
    if !others.is_empty() {
        let all = escaped(&lines(&others));
        writeln!(xml, "      <system-out>{all}</system-out>")?;
    }
    writeln!(xml, "    </testcase>")
}

/// The rules that failed.
fn failures(report: &FileReport) -> usize {
    let failed = |rule: &Rule| {
        let mut findings = report.findings.iter();
        findings.any(|finding| finding.rule == *rule && finding.severity == Severity::Error)
    };
    Rule::ALL.iter().filter(|rule| failed(rule)).count()
}

fn lines(findings: &[&Finding]) -> String {
    let line = |finding: &&Finding| {
        format!(
            "{}: {}: {}\nRemedy: {}",
            finding.severity, finding.place, finding.message, finding.remedy
        )
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Text for an attribute or an element. What XML 1.0 cannot hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\n' => xml.push_str("&#10;"),
            '\t' => xml.push_str("&#9;"),
            '\r' => xml.push_str("&#13;"),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            _ => xml.push(character),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn nothing_that_a_component_says_breaks_out_of_the_document() {
        assert_eq!(
            escaped("]]><a b='\"'>&\u{1b}\n\u{ffff}"),
            "]]&gt;&lt;a b='&quot;'&gt;&amp;\u{fffd}&#10;\u{fffd}"
        );
        let xml = junit(&example::reports());
        assert!(!xml.contains("<script>") && !xml.contains("<bad>"), "{xml}");
        assert!(!xml.contains(['\0', '\u{1b}']), "{xml}");
    }

    #[test]
    fn a_file_is_a_suite_and_a_rule_a_test() {
        let reports = example::reports();
        let xml = junit(&reports);
        let count = |text| xml.matches(text).count();
        assert_eq!(count("<testsuite "), 2);
        assert_eq!(count("</testsuite>"), 2);
        assert_eq!(count("<testcase "), 2 * Rule::ALL.len());
        assert_eq!(count("<failure "), 1);
        assert_eq!(count("<skipped "), reports[1].unchecked.len());
        assert_eq!(count("<system-out>"), 1);
        assert!(
            xml.contains(r#"tests="18" failures="1" errors="0">"#),
            "{xml}"
        );
        assert!(xml.contains("byte 123"));
    }
}
