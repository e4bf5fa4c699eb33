//! For people: one line for each file, what is wrong below it, aligned, and the count at the end.

use std::fmt::{self, Write as _};

use crate::conformance::{FileReport, Finding, Rule, Severity};

/// The width of the longest severity, and of the longest rule.
const COLUMNS: (usize, usize) = ("warning".len(), "pure-discovery".len());

/// The reports as text.
pub fn text(reports: &[FileReport]) -> String {
    let mut text = String::new();
    write(&mut text, reports).expect("a string takes all that is written");
    text
}

/// All rules, and what each requires.
pub fn rules() -> String {
    let mut text = String::new();
    for rule in Rule::ALL {
        let lines = wrapped(rule.doc(), 100).join("\n    ");
        writeln!(text, "{rule}\n    {}\n    {lines}\n", rule.summary())
            .expect("a string takes all that is written");
    }
    text.truncate(text.trim_end().len() + 1);
    text
}

fn write(text: &mut String, reports: &[FileReport]) -> fmt::Result {
    for report in reports {
        write_file(text, report)?;
    }
    let conform = reports.iter().filter(|report| report.passed()).count();
    let total = |severity| reports.iter().map(|report| report.count(severity)).sum();
    writeln!(
        text,
        "{conform} of {} conform: {}, {}, {}",
        counted(reports.len(), "component"),
        counted(total(Severity::Error), "error"),
        counted(total(Severity::Warning), "warning"),
        counted(total(Severity::Note), "note"),
    )
}

fn write_file(text: &mut String, report: &FileReport) -> fmt::Result {
    let path = harmless(&report.path.to_string_lossy());
    if report.passed() {
        let tools = counted(report.tools.len(), "tool");
        writeln!(
            text,
            "{path}: conforms ({tools}, {} KiB)",
            report.bytes >> 10
        )?;
    } else {
        writeln!(text, "{path}: does not conform")?;
    }
    for finding in &report.findings {
        write_finding(text, finding)?;
    }
    if !report.unchecked.is_empty() {
        let rules: Vec<_> = report.unchecked.iter().map(|rule| rule.id()).collect();
        writeln!(text, "  not checked for that reason: {}", rules.join(", "))?;
    }
    writeln!(text)
}

fn write_finding(text: &mut String, finding: &Finding) -> fmt::Result {
    let (severity, rule) = COLUMNS;
    let indent = 2 + severity + 2 + rule + 2;
    writeln!(
        text,
        "  {:severity$}  {:rule$}  {}",
        finding.severity,
        finding.rule,
        harmless(&format!("{}: {}", finding.place, finding.message))
    )?;
    writeln!(text, "{:indent$}remedy: {}", "", harmless(&finding.remedy))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Text that a component chose must not steer a terminal, nor look like a line of ours.
fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => safe.push(' '),
            // `escape_debug` leaves quotes to be escaped by who quotes; control and format characters it escapes.
            '"' | '\'' | '\\' => safe.push(character),
            _ => safe.extend(character.escape_debug()),
        }
    }
    safe
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn a_person_reads_what_is_wrong_where_and_what_to_do() {
        let expected = r#"dist/slack messages.wasm: conforms (1 tool, 18432 KiB)
  warning  imports         import `wasi:sockets/*`: it is refused
                           remedy: ignore it

/tmp/<bad>&"file".wasm: does not conform
  error    component       byte 123: ]]> \u{1b}[31m<script> & so on\0
                           remedy: build it anew
  not checked for that reason: imports, tool-export, pure-discovery, names, descriptions, schemas, requirements

1 of 2 components conform: 1 error, 1 warning, 0 notes
"#;
        assert_eq!(text(&example::reports()), expected);
    }

    #[test]
    fn every_rule_is_listed_and_fits_the_columns() {
        let listed = rules();
        for rule in Rule::ALL {
            assert!(listed.contains(&format!("{rule}\n    {}", rule.summary())));
            assert!(rule.id().len() <= COLUMNS.1);
        }
        assert!(listed.lines().all(|line| line.chars().count() <= 104));
    }
}
