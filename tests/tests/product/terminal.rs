//! The command line at a terminal, with a person who types.

use std::process::Command;

use holster_tests::{Fixture, component};
use rexpect::session::{PtySession, spawn_command};
use serde_json::{Value, json};

/// In milliseconds: the first call compiles the tool.
const PATIENCE: u64 = 60_000;

fn fixture() -> Fixture {
    let fixture = Fixture::new("");
    fixture.plug_in(&component("parity-rust"));
    fixture
}

/// The command at a terminal.
fn at_terminal(mut command: Command) -> PtySession {
    command.env("TERM", "xterm");
    spawn_command(command, Some(PATIENCE)).expect("there is a terminal")
}

fn invite(fixture: &Fixture) -> PtySession {
    at_terminal(fixture.command(&["--json", "call", "invite"]))
}

/// What is shown until this is, and then typed.
fn answer(terminal: &mut PtySession, prompt: &str, line: &str) -> String {
    let shown = terminal.exp_string(prompt);
    let shown = shown.unwrap_or_else(|error| panic!("{prompt:?} is not asked: {error}"));
    terminal.send_line(line).expect("the terminal takes a line");
    shown
}

/// All that is shown until the command ends.
fn rest(mut terminal: PtySession) -> String {
    terminal.exp_eof().expect("the command ends")
}

/// The structured content of the answer, which is the last line.
fn content(shown: &str) -> Value {
    let line = shown.lines().rev().find(|line| line.contains('{'));
    let line = line.unwrap_or_else(|| panic!("no answer: {shown:?}"));
    let answer: Value = serde_json::from_str(&line[line.find('{').unwrap_or_default()..])
        .unwrap_or_else(|error| panic!("{error}: {line:?}"));
    answer["content"][0]["value"].clone()
}

#[test]
fn a_tool_asks_a_person_and_gets_the_answer() {
    let fixture = fixture();
    let mut terminal = invite(&fixture);
    let before = answer(&mut terminal, "Answer? [Y/n] ", "");
    // The rest of the message is not ASCII, and the terminal's text is read byte by byte here.
    assert!(before.contains("info: it begins: "), "{before:?}");
    assert!(
        before.contains("The tool asks: Who comes to dinner?"),
        "{before:?}"
    );
    answer(
        &mut terminal,
        "guests: How many they are. (may be left out)> ",
        "many",
    );
    let again = answer(&mut terminal, "(may be left out)> ", "2");
    assert!(
        again.contains("that is none of what can be answered"),
        "{again:?}"
    );
    answer(&mut terminal, "2 greens", "1");
    answer(&mut terminal, "name: Who comes.> ", "Ann");
    let shown = rest(terminal);
    assert!(shown.contains("warning: it ends"), "{shown:?}");
    assert_eq!(
        content(&shown),
        json!({ "ended": "accept", "who": "Ann with 2 for fish" })
    );
}

#[test]
fn a_person_may_decline_or_close_the_input() {
    let fixture = fixture();
    let mut terminal = invite(&fixture);
    answer(&mut terminal, "Answer? [Y/n] ", "n");
    assert_eq!(content(&rest(terminal)), json!({ "ended": "decline" }));

    let mut terminal = invite(&fixture);
    answer(&mut terminal, "Answer? [Y/n] ", "y");
    terminal.exp_string("guests").expect("the form is shown");
    terminal.send_control('d').expect("the terminal takes it");
    assert_eq!(content(&rest(terminal)), json!({ "ended": "cancel" }));
}

#[test]
fn a_secret_that_is_typed_is_not_shown() {
    const TOKEN: &str = "xoxb-typed-at-a-terminal";
    let fixture = fixture();
    let adds = fixture.command(&["auth", "add", "slack", "--profile", "work"]);
    let mut terminal = at_terminal(adds);
    let before = answer(&mut terminal, "Token for slack: ", TOKEN);
    let after = rest(terminal);
    assert!(
        !format!("{before}{after}").contains(TOKEN),
        "{before:?} {after:?}"
    );
    let listed = fixture.holster(&["auth", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("slack"));
}

#[test]
fn a_new_passphrase_is_typed_twice() {
    const PASSPHRASE: &str = "correct horse battery";
    let fixture = fixture();
    let mut terminal = at_terminal(fixture.command(&["vault", "export", "vault.age"]));
    answer(
        &mut terminal,
        "Passphrase (at least 12 characters): ",
        PASSPHRASE,
    );
    answer(&mut terminal, "The same again: ", "correct horse buttery");
    let shown = rest(terminal);
    assert!(shown.contains("the two are not the same"), "{shown:?}");
    assert!(!fixture.path("vault.age").exists());
}
