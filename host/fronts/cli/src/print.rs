//! What goes to standard output: aligned tables for people, one JSON value for scripts. And what is said beside it.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::exit::Exit;

/// Prints one JSON value and a line break.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Exit> {
    let text = serde_json::to_string(value).map_err(Exit::failed)?;
    line(&text)
}

/// Prints a line. A reader that has gone away (`| head`) is no failure of ours.
pub(crate) fn line(text: &str) -> Result<(), Exit> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Exit::failed),
    }
}

/// Says something on standard error. Where nobody can hear it, nothing comes of that.
pub(crate) fn aside(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints rows with their columns aligned. Control characters of untrusted texts are escaped.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> Result<(), Exit> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| harmless(cell)).collect())
        .collect();
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..headings.len()).map(width).collect();
    let headings: Vec<_> = headings
        .iter()
        .map(|heading| (*heading).to_owned())
        .collect();
    for row in std::iter::once(&headings).chain(&rows) {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        line(cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// A text that a component or a service chose, without the means to move a terminal's cursor.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// The first sentence or line, for a list.
pub(crate) fn summary(text: &str) -> String {
    const LENGTH: usize = 72;
    let first = text.lines().next().unwrap_or_default();
    let first = first
        .split_inclusive(". ")
        .next()
        .unwrap_or_default()
        .trim();
    if first.chars().count() <= LENGTH {
        first.to_owned()
    } else {
        first.chars().take(LENGTH - 1).chain(['…']).collect()
    }
}

/// A number of bytes as people say it.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    let mut scaled = bytes;
    let mut tenths = 0;
    while scaled >= 1024 && unit + 1 < UNITS.len() {
        tenths = scaled % 1024 * 10 / 1024;
        scaled /= 1024;
        unit += 1;
    }
    if unit == 0 || scaled >= 100 {
        format!("{scaled} {}", UNITS[unit])
    } else {
        format!("{scaled}.{tenths} {}", UNITS[unit])
    }
}

/// A time, in seconds since the Unix epoch, as how long ago it was.
pub(crate) fn ago(time: std::time::SystemTime) -> String {
    match time.elapsed().map_or(0, |elapsed| elapsed.as_secs()) {
        seconds @ 0..60 => format!("{seconds} s ago"),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_component_cannot_move_the_cursor() {
        assert_eq!(harmless("a\x1b[2Jb\r"), "a\u{fffd}[2Jb\u{fffd}");
    }

    #[test]
    fn sizes_are_said_as_people_say_them() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(200 << 20), "200 MiB");
    }
}
