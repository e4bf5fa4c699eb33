//! Guests that take more room than they may, guests that give the host none, and one that looks for what another left in it.

use super::case::Case;
use super::case::Must::{Answer, BeRefused, Fail};

pub(super) fn cases() -> Vec<Case> {
    [too_much(), none_for_arguments(), what_was_left()]
        .into_iter()
        .flatten()
        .collect()
}

fn too_much() -> Vec<Case> {
    let out_of_memory = Fail("out_of_memory", "more than its 128 MiB of memory");
    vec![
        Case::call(
            "grow",
            "grows its memory until it gets no more, and crashes",
            out_of_memory,
            "(func $call (type $calls)
               (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
               (unreachable))",
        ),
        Case::call(
            "grow_for_ever",
            "asks for more memory again and again, whether it gets any or not",
            Fail("timed_out", ""),
            "(func $call (type $calls) (loop (drop (memory.grow (i32.const 1))) (br 0)) (unreachable))",
        ),
        Case::call(
            "grow_and_touch",
            "takes all the memory that it may have and writes to every page of it, for ever",
            Fail("timed_out", ""),
            "(func $call (type $calls)
               (local $at i32)
               (drop (memory.grow (i32.const 1900)))
               (loop
                 (i32.store (i32.add (i32.const 0x200000) (local.get $at)) (i32.const 1))
                 (local.set $at
                   (i32.rem_u (i32.add (local.get $at) (i32.const 4096)) (i32.const 120_000_000)))
                 (br 0))
               (unreachable))",
        ),
        Case::call(
            "begin_with_4_gib",
            "is made with a memory of 4 GiB",
            BeRefused("memory"),
            "(memory $memory (export \"memory\") 65536)",
        ),
        Case::call(
            "begin_with_200_mib",
            "is made with a memory of 200 MiB",
            BeRefused("it may use 128 MiB of memory, and needs more"),
            "(memory $memory (export \"memory\") 3200)",
        ),
        Case::call(
            "memories",
            "is made with a hundred memories",
            BeRefused("memories"),
            &repeated("(memory 1)", 100),
        ),
        Case::call(
            "grow_table",
            "grows a table until it gets no more, and crashes",
            Fail("out_of_table", "more than its 65536 table elements"),
            "(table $table 1 funcref)

             (func $call (type $calls)
               (loop (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1))))
               (unreachable))",
        ),
        Case::call(
            "begin_with_a_large_table",
            "is made with a table of ten million elements",
            BeRefused("table"),
            "(table $table 10000000 funcref)",
        ),
        Case::call(
            "tables",
            "is made with a hundred tables",
            BeRefused("tables"),
            &repeated("(table 1 funcref)", 100),
        ),
    ]
}

fn none_for_arguments() -> Vec<Case> {
    let room =
        |body: &str| format!("(func $make_room (param i32 i32 i32 i32) (result i32) {body})");
    vec![
        Case::call(
            "no_room",
            "crashes when it is asked for room for its arguments",
            Fail("crashed", "unreachable"),
            &room("(unreachable)"),
        ),
        Case::call(
            "room_at_0",
            "has its arguments written to address 0",
            Answer("done"),
            &room("(i32.const 0)"),
        ),
        Case::call(
            "room_beyond_the_memory",
            "has its arguments written behind the end of its memory",
            Fail("crashed", "realloc return: beyond end of memory"),
            &room("(i32.const -4)"),
        ),
        Case::call(
            "room_for_all_at_one_place",
            "has its arguments written over each other, and over its answer",
            Fail("crashed", ""),
            &room("(i32.const 0x1000)"),
        ),
        Case::call(
            "grow_for_room",
            "grows its memory for every argument",
            Answer("done"),
            &room("(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))"),
        ),
        Case::call(
            "call_the_host_for_room",
            "calls the host while the host writes its arguments",
            Fail("crashed", "cannot leave component instance"),
            &room("(call $random (i64.const 1) (global.get $into)) (i32.const 0)"),
        ),
        Case::call(
            "call_the_host_after_the_answer",
            "calls the host while the host clears its answer away",
            Fail("crashed", "cannot leave component instance"),
            "(func $answer_was_read (type $clears) (call $random (i64.const 1) (global.get $into)))",
        ),
    ]
}

fn what_was_left() -> Vec<Case> {
    // Every third page, for more of them than a place for an instance keeps.
    vec![Case::call(
        "look_for_what_was_left",
        "looks in its variables, its table and its memory for what a call before it left, and leaves what it can",
        Answer("done"),
        "(global $was_called (mut i32) (i32.const 0))

         (table $table 8 funcref)

         (elem declare func $call)

         (func $call (type $calls)
           (local $at i32)
           (if (global.get $was_called) (then (unreachable)))
           (global.set $was_called (i32.const 1))
           (if (i32.eqz (ref.is_null (table.get $table (i32.const 7)))) (then (unreachable)))
           (table.set $table (i32.const 7) (ref.func $call))
           (drop (memory.grow (i32.const 400)))
           (local.set $at (i32.const 0x200000))
           (loop
             (if (i32.load (local.get $at)) (then (unreachable)))
             (i32.store (local.get $at) (i32.const 1))
             (local.set $at (i32.add (local.get $at) (i32.const 0x3000)))
             (br_if 0 (i32.lt_u (local.get $at) (i32.const 0x1c00000))))
           (global.get $answer))",
    )]
}

fn repeated(field: &str, times: usize) -> String {
    vec![field; times].join("\n")
}
