//! Logs that were altered, cut, moved and written by many at once.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holster_types::{ProfileName, ProviderId, TenantId};
use tempfile::TempDir;

use super::*;
use crate::chain::Chain;
use crate::{Action, AuditLog, CredentialEvent, Event};

/// A line about a credential of that user, which tells itself from others by the generation.
pub(crate) fn used(tenant: &str, generation: i64) -> Event {
    Event::Credential(CredentialEvent {
        action: Action::Used,
        tenant: TenantId::new(tenant).unwrap(),
        profile: ProfileName::new("work").unwrap(),
        provider: ProviderId::new("slack").unwrap(),
        account: Some("ann@example.test".to_owned()),
        generation,
    })
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// A log of ten lines.
fn ten() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(folder.path());
    for number in 1..=10_i64 {
        let event = (at(number.unsigned_abs()), used("ann", number));
        chain.append(&[event]).unwrap();
    }
    folder
}

fn segment(folder: &TempDir) -> PathBuf {
    folder.path().join("00000001.jsonl")
}

/// The lines that hold, and what does not.
fn read(folder: &TempDir) -> (usize, Vec<String>) {
    let (mut whole, mut broken) = (0, Vec::new());
    for line in Reader::open(folder.path()).unwrap() {
        match line {
            Ok(_) => whole += 1,
            Err(error) => {
                let text = error.to_string();
                broken.push(text.replace(&folder.path().display().to_string(), "."));
            }
        }
    }
    (whole, broken)
}

#[test]
fn a_log_is_read_as_it_was_written() {
    let folder = ten();
    let lines: Vec<_> = Reader::open(folder.path())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(lines.len(), 10);
    assert_eq!(lines[9].line.number, 10);
    assert_eq!(lines[9].line.previous, lines[8].hash);
    assert_eq!(lines[2].line.at, at(3));
    assert_eq!(
        lines[0].text,
        format!(
            "{{\"number\":1,\"previous\":\"{}\",\"at\":\"2027-01-15T08:00:01.000Z\",\"event\":\"credential\",\
             \"action\":\"used\",\"tenant\":\"ann\",\"profile\":\"work\",\"provider\":\"slack\",\
             \"account\":\"ann@example.test\",\"generation\":1}}",
            "0".repeat(64)
        )
    );
    let mode = std::os::unix::fs::PermissionsExt::mode;
    let of = |path: &Path| mode(&fs::metadata(path).unwrap().permissions()) & 0o777;
    assert_eq!(of(&segment(&folder)), 0o600);
}

/// What somebody does to the lines.
type Change = fn(&mut Vec<String>);

#[test]
fn a_line_that_was_altered_taken_out_or_put_in_breaks_the_chain_there() {
    let lines = |folder: &TempDir| -> Vec<String> {
        let text = fs::read_to_string(segment(folder)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let changes: &[(&str, Change, usize)] = &[
        (
            "altered",
            |lines| lines[4] = lines[4].replace("ann@", "bob@"),
            6,
        ),
        ("taken out", |lines| drop(lines.remove(4)), 5),
        ("put in", |lines| lines.insert(4, lines[3].clone()), 5),
        ("swapped", |lines| lines.swap(4, 5), 5),
        ("a blank", |lines| lines[4].push(' '), 6),
        (
            "the first taken out and the next renamed",
            |lines| {
                lines.remove(0);
                lines[0] = lines[0].replace("\"number\":2", "\"number\":1");
            },
            1,
        ),
        ("no line", |lines| lines[4] = "{}".to_owned(), 5),
    ];
    for (what, change, place) in changes {
        let folder = ten();
        let mut lines = lines(&folder);
        change(&mut lines);
        fs::write(segment(&folder), lines.join("\n") + "\n").unwrap();
        let (_, broken) = read(&folder);
        let first = broken.first().unwrap_or_else(|| panic!("{what}"));
        let wanted = format!("./00000001.jsonl, line {place}: ");
        assert!(first.starts_with(&wanted), "{what}: {broken:?}");
    }
}

#[test]
fn what_a_crash_left_of_a_line_is_cut_off_and_the_chain_goes_on() {
    let folder = ten();
    let text = fs::read(segment(&folder)).unwrap();
    // At each byte of the last line, its end among them.
    let last = text[..text.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n');
    for end in last.unwrap() + 1..=text.len() {
        fs::write(segment(&folder), &text[..end]).unwrap();
        let whole = if end == text.len() { 10 } else { 9 };
        assert_eq!(read(&folder), (whole, vec![]), "{end}");
        Chain::new(folder.path())
            .append(&[(at(0), used("bob", 1))])
            .unwrap();
        assert_eq!(read(&folder), (whole + 1, vec![]), "{end}");
    }
}

#[test]
fn an_end_that_was_cut_off_is_noticed_by_who_had_seen_it_and_written_down() {
    let folder = ten();
    let mut chain = Chain::new(folder.path());
    chain.append(&[(at(11), used("ann", 11))]).unwrap();
    let text = fs::read_to_string(segment(&folder)).unwrap();
    let shorter: String = text.split_inclusive('\n').take(5).collect();
    fs::write(segment(&folder), shorter).unwrap();
    chain.append(&[(at(12), used("ann", 12))]).unwrap();
    let lines: Vec<_> = Reader::open(folder.path())
        .unwrap()
        .map(|line| line.unwrap().line.event)
        .collect();
    assert_eq!(lines.len(), 7);
    assert!(
        matches!(lines[5], Event::Cut { last: 11, .. }),
        "{:?}",
        lines[5]
    );
    assert_eq!(lines[6], used("ann", 12));
}

#[test]
fn a_log_goes_on_in_another_segment_and_when_old_ones_were_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (
        Chain::with_segments_of(1000, folder.path()),
        Chain::with_segments_of(1000, folder.path()),
    );
    for number in 0..20 {
        one.append(&[(at(0), used("ann", number))]).unwrap();
        other.append(&[(at(0), used("bob", number))]).unwrap();
    }
    let segments = segments(folder.path()).unwrap();
    assert!(segments.len() > 5, "{segments:?}");
    assert_eq!(read(&folder), (40, vec![]));
    fs::remove_file(&segments[0].1).unwrap();
    let (whole, broken) = read(&folder);
    assert!(whole < 40 && broken.is_empty(), "{broken:?}");
    // One from the midst is missed.
    fs::remove_file(&segments[3].1).unwrap();
    assert_eq!(read(&folder).1.len(), 1);
    // All of them: the processes begin anew, and say where they had been.
    for (_, path) in crate::chain::segments(folder.path()).unwrap() {
        fs::remove_file(path).unwrap();
    }
    one.append(&[(at(0), used("ann", 21))]).unwrap();
    other.append(&[(at(0), used("bob", 21))]).unwrap();
    let (whole, broken) = read(&folder);
    assert!((3..=4).contains(&whole), "{whole}");
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn a_thousand_lines_of_many_threads_and_logs_are_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for pause in 0..4 {
            let log = Arc::new(AuditLog::in_folder(folder.path()));
            for thread in 0..5 {
                let log = Arc::clone(&log);
                scope.spawn(move || {
                    for line in 0..50 {
                        log.write(move || used(&format!("user-{thread}"), line));
                        if line % 10 == 0 {
                            std::thread::sleep(Duration::from_millis(pause));
                        }
                    }
                });
            }
        }
    });
    assert_eq!(read(&folder), (1000, vec![]));
}
