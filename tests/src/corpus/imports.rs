//! Guests that ask the host for more than they may, or for what is not there.

use super::case::Case;
use super::case::Must::{self, Answer, Fail};

pub(super) fn cases() -> Vec<Case> {
    [floods(), handles(), errands()]
        .into_iter()
        .flatten()
        .collect()
}

/// A guest that does this before it answers.
fn does(name: &'static str, tries: &'static str, must: Must, body: &str) -> Case {
    let fields =
        format!("(func $call (type $calls) (local $held i32) {body} (global.get $answer))");
    Case::call(name, tries, must, &fields)
}

fn floods() -> Vec<Case> {
    // For ever, and in the same room every time.
    let forget = |body| format!("(loop {body} (global.set $room (i32.const 0x20000)) (br 0))");
    let times_out = Fail("timed_out", "did not answer within its");
    vec![
        does(
            "log_for_ever",
            "writes messages for the client's log, for ever",
            times_out,
            "(loop (call $log (i32.const 1) (i32.const 0x1040) (i32.const 4)) (br 0))",
        ),
        does(
            "log_megabytes",
            "writes messages of 3 MiB for the client's log, for ever",
            times_out,
            "(loop (call $log (i32.const 1) (i32.const 0) (i32.const 0x300000)) (br 0))",
        ),
        does(
            "progress_for_ever",
            "tells of progress that is none, for ever",
            times_out,
            "(loop (call $progress (f64.const nan:0x123) (i32.const 0) (f64.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (br 0))",
        ),
        does(
            "ask_for_ever",
            "asks a question that nobody hears, for ever",
            times_out,
            &forget(
                "(call $ask
                   (i32.const 0x1040) (i32.const 4) (i32.const 0x1040) (i32.const 4) (global.get $into))",
            ),
        ),
        does(
            "print_for_ever",
            "prints, for ever",
            times_out,
            "(local.set $held (call $stdout))
             (loop (call $write (local.get $held) (i32.const 0x1000) (i32.const 4096) (global.get $into)) (br 0))",
        ),
        does(
            "sleep_for_ever",
            "sleeps for 500 years",
            times_out,
            "(i32.store (i32.const 0x3000) (call $subscribe (i64.const -1)))
             (call $poll (i32.const 0x3000) (i32.const 1) (global.get $into))",
        ),
        does(
            "poll_for_ever",
            "makes a thing to wait for, waits for it and drops it, for ever",
            times_out,
            "(loop
               (i32.store (i32.const 0x3000) (call $subscribe (i64.const 0)))
               (call $poll (i32.const 0x3000) (i32.const 1) (global.get $into))
               (call $drop_pollable (i32.load (i32.const 0x3000)))
               (br 0))",
        ),
        does(
            "random_for_ever",
            "takes random numbers, 64 KiB at a time, for ever",
            times_out,
            &forget("(call $random (i64.const 65536) (global.get $into))"),
        ),
    ]
}

fn handles() -> Vec<Case> {
    let crashes = |reason| Fail("crashed", reason);
    vec![
        does(
            "hoard_fields",
            "makes a million header fields and drops none",
            crashes("resource table"),
            "(loop (drop (call $new_fields)) (br 0))",
        ),
        does(
            "hoard_clocks",
            "makes a million things to wait for and drops none",
            crashes("resource table"),
            "(loop (drop (call $subscribe (i64.const -1))) (br 0))",
        ),
        does(
            "wait_for_nothing",
            "waits for an empty list of things",
            crashes("empty"),
            "(call $poll (i32.const 0) (i32.const 0) (global.get $into))",
        ),
        does(
            "drop_twice",
            "drops a resource twice",
            crashes("unknown handle index"),
            "(local.set $held (call $new_fields))
             (call $drop_fields (local.get $held))
             (call $drop_fields (local.get $held))",
        ),
        does(
            "use_after_drop",
            "waits for what it has dropped",
            crashes("unknown handle index"),
            "(i32.store (i32.const 0x3000) (call $subscribe (i64.const 0)))
             (call $drop_pollable (i32.load (i32.const 0x3000)))
             (call $poll (i32.const 0x3000) (i32.const 1) (global.get $into))",
        ),
        does(
            "forged_handle",
            "takes the token of a credential that it was never given",
            crashes("unknown handle index"),
            "(call $token (i32.const 7) (global.get $into))",
        ),
        does(
            "handle_of_another_type",
            "takes the token of header fields",
            crashes("handle"),
            "(call $token (call $new_fields) (global.get $into))",
        ),
        Case::call(
            "keep_a_handle_for_a_call",
            "keeps what it took when it listed its tools, and looks for it in a call",
            Answer("done"),
            "(global $kept (mut i32) (i32.const -1))

             (func $list_tools (type $lists) (global.set $kept (call $stdout)) (global.get $tools))

             (func $call (type $calls)
               (if (i32.ne (global.get $kept) (i32.const -1)) (then (unreachable)))
               (global.get $answer))",
        ),
    ]
}

fn errands() -> Vec<Case> {
    let crashes = |reason| Fail("crashed", reason);
    // The text of the answer becomes a digit: what the host wrote first.
    let digit =
        "(i32.store8 (i32.const 0x1040) (i32.add (i32.const 48) (i32.load8_u (global.get $into))))";
    let count = "(i32.store8 (i32.const 0x1040) (i32.add (i32.const 48) (i32.load8_u offset=4 (global.get $into))))";
    vec![
        does(
            "account_of_somebody",
            "takes an account that it did not declare",
            Answer("1one"),
            &format!(
                "(call $auth_get (i32.const 0x1040) (i32.const 4) (global.get $into)) {digit}"
            ),
        ),
        does(
            "all_random_numbers",
            "asks for 16 million TiB of random numbers",
            crashes("exceeds limit"),
            "(call $random (i64.const -1) (global.get $into))",
        ),
        does(
            "message_beyond_the_memory",
            "writes a message that lies behind the end of its memory",
            crashes("out of bounds"),
            "(call $log (i32.const 1) (i32.const -4) (i32.const 1000))",
        ),
        does(
            "message_of_no_level",
            "writes a message of a level that there is not",
            crashes("discriminant"),
            "(call $log (i32.const 99) (i32.const 0x1040) (i32.const 4))",
        ),
        does(
            "answer_of_the_host_beyond_the_memory",
            "has the host write an answer behind the end of its memory",
            crashes("out of bounds"),
            "(call $environment (i32.const -4))",
        ),
        does(
            "exit",
            "ends its process",
            Fail("exited", "ended its own process"),
            "(call $exit (i32.const 0))",
        ),
        does(
            "exit_in_failure",
            "ends its process with a failure",
            Fail("exited", ""),
            "(call $exit (i32.const 1))",
        ),
        does(
            "environment",
            "reads the environment of the host",
            Answer("0one"),
            &format!("(call $environment (global.get $into)) {count}"),
        ),
        does(
            "folders",
            "opens the folders of the host",
            Answer("0one"),
            &format!("(call $folders (global.get $into)) {count}"),
        ),
        does(
            "look_up_a_name",
            "sends what it knows away as the name of a host to look up",
            Answer("1one"),
            &format!(
                "(call $resolve (call $network) (i32.const 0x1040) (i32.const 4) (global.get $into)) {digit}"
            ),
        ),
    ]
}
