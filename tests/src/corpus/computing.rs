//! Guests that compute for ever, and guests that crash.

use super::case::Case;
use super::case::Must::{Answer, BeRefused, Fail};

pub(super) fn cases() -> Vec<Case> {
    [for_ever(), crashing()].into_iter().flatten().collect()
}

fn for_ever() -> Vec<Case> {
    let times_out = Fail("timed_out", "did not answer within its");
    vec![
        Case::call(
            "spin",
            "loops for ever in a call",
            times_out,
            "(func $call (type $calls) (loop (br 0)) (unreachable))",
        ),
        Case::call(
            "spin_after_the_answer",
            "loops for ever once its answer was read",
            times_out,
            "(func $answer_was_read (type $clears) (loop (br 0)))",
        ),
        Case::call(
            "spin_for_room",
            "loops for ever when it is asked for room for its arguments",
            times_out,
            "(func $make_room (param i32 i32 i32 i32) (result i32) (loop (br 0)) (unreachable))",
        ),
        Case::call(
            "fill",
            "fills 100 MiB of memory again and again, in single instructions",
            times_out,
            "(memory $memory (export \"memory\") 1700)

             (func $call (type $calls)
               (loop (memory.fill (i32.const 0x200000) (i32.const 1) (i32.const 100_000_000)) (br 0))
               (unreachable))",
        ),
        Case::call(
            "call_itself_in_a_tail",
            "calls itself for ever without a stack",
            times_out,
            "(func $call (type $calls)
               (return_call $call
                 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0)))",
        ),
        Case::call(
            "spin_at_the_start",
            "loops for ever when it is instantiated",
            BeRefused("it may take 5 s, and takes longer"),
            "(func $begin (loop (br 0)))

             (start $begin)",
        ),
        Case::call(
            "spin_when_listed",
            "loops for ever when its tools are listed",
            BeRefused("it may take 5 s, and takes longer"),
            "(func $list_tools (type $lists) (loop (br 0)) (unreachable))",
        ),
        Case::call(
            "spin_after_the_list",
            "loops for ever once the list of its tools was read",
            BeRefused("it may take 5 s, and takes longer"),
            "(func $tools_were_read (type $clears) (loop (br 0)))",
        ),
        // Only to the first list is chance the same every time: nought.
        Case::call(
            "spin_when_listed_again",
            "lists its tools, and loops for ever when it is to list them once more while it waits for a call",
            Answer("done"),
            "(func $list_tools (type $lists)
               (call $random (i64.const 8) (global.get $into))
               (loop (br_if 0 (i64.ne (i64.load (i32.load (global.get $into))) (i64.const 0))))
               (global.get $tools))",
        ),
    ]
}

fn crashing() -> Vec<Case> {
    let crashes = |reason| Fail("crashed", reason);
    vec![
        Case::call(
            "recurse",
            "calls itself for ever",
            Fail("stack_overflow", "recursed too deeply"),
            "(func $call (type $calls)
               (call $call
                 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0)))",
        ),
        Case::call(
            "recurse_at_the_start",
            "calls itself for ever when it is instantiated",
            BeRefused("recursed too deeply"),
            "(func $begin (call $begin))

             (start $begin)",
        ),
        Case::call(
            "divide",
            "divides by zero",
            crashes("integer divide by zero"),
            "(func $call (type $calls) (i32.div_u (i32.const 1) (i32.const 0)))",
        ),
        Case::call(
            "stop",
            "executes `unreachable`",
            crashes("unreachable"),
            "(func $call (type $calls) (unreachable))",
        ),
        Case::call(
            "stop_after_the_answer",
            "crashes once its answer was read",
            crashes("unreachable"),
            "(func $answer_was_read (type $clears) (unreachable))",
        ),
        Case::call(
            "call_nothing",
            "calls an empty element of a table",
            crashes("uninitialized element"),
            "(table 1 funcref)

             (func $call (type $calls) (call_indirect (type $lists) (i32.const 0)))",
        ),
        Case::call(
            "call_beyond_the_table",
            "calls an element that a table does not have",
            crashes("undefined element"),
            "(table 1 funcref)

             (func $call (type $calls) (call_indirect (type $lists) (i32.const -1)))",
        ),
        Case::call(
            "call_as_another_type",
            "calls a function as one of another type",
            crashes("indirect call type mismatch"),
            "(table 1 funcref)

             (elem (i32.const 0) $answer_was_read)

             (func $call (type $calls) (call_indirect (type $lists) (i32.const 0)))",
        ),
        Case::call(
            "read_beyond_the_memory",
            "reads behind the end of its memory",
            crashes("out of bounds memory access"),
            "(func $call (type $calls) (i32.load offset=0xffffffff (i32.const -1)))",
        ),
    ]
}
