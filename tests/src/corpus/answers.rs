//! Guests whose answers are not what they have to be, or not as large as they may be.

use super::case::Case;
use super::case::Must::{self, Answer, Fail};
use super::guest::{self, Tool};

pub(super) fn cases() -> Vec<Case> {
    [malformed(), too_large(), structured()]
        .into_iter()
        .flatten()
        .collect()
}

/// A guest that writes over its answer, then gives it.
fn spoilt(name: &'static str, tries: &'static str, must: Must, spoil: &str) -> Case {
    let fields = format!("(func $call (type $calls) {spoil} (global.get $answer))");
    Case::call(name, tries, must, &fields)
}

fn malformed() -> Vec<Case> {
    let crashes = |reason| Fail("crashed", reason);
    let byte = |at: usize, value: u8| {
        format!("(i32.store8 offset={at} (global.get $answer) (i32.const {value}))")
    };
    let word = |at: usize, value: i64| {
        format!("(i32.store offset={at} (global.get $answer) (i32.const {value}))")
    };
    vec![
        Case::call(
            "answer_beyond_the_memory",
            "says that its answer lies behind the end of its memory",
            crashes("out of bounds"),
            "(func $call (type $calls) (i32.const -4))",
        ),
        Case::call(
            "answer_between_words",
            "says that its answer lies at an odd address",
            crashes("aligned"),
            "(func $call (type $calls) (i32.const 0x1001))",
        ),
        spoilt(
            "neither_answer_nor_error",
            "gives a result that is neither an answer nor an error",
            crashes("invalid"),
            &byte(0, 7),
        ),
        spoilt(
            "unknown_content",
            "gives content of a kind that there is not",
            crashes("discriminant"),
            &byte(16, 9),
        ),
        spoilt(
            "unknown_error",
            "gives an error that there is not",
            crashes("discriminant"),
            &(byte(0, 1) + &byte(4, 9)),
        ),
        spoilt(
            "neither_some_nor_none",
            "gives an option that is neither there nor not",
            crashes("invalid"),
            &(byte(0, 1) + &byte(4, 2) + &byte(8, 3)),
        ),
        spoilt(
            "list_of_4_gib",
            "says that its answer has four thousand million pieces",
            crashes("out of bounds"),
            &word(8, 0xffff_ffff),
        ),
        spoilt(
            "list_between_words",
            "gives a list at an odd address",
            crashes("aligned"),
            &word(4, 0x1011),
        ),
        spoilt(
            "text_of_4_gib",
            "says that its text has 4 GiB",
            crashes("out of bounds"),
            &word(24, 0xffff_ffff),
        ),
        spoilt(
            "text_beyond_the_memory",
            "says that its text lies behind the end of its memory",
            crashes("out of bounds"),
            &word(20, -4),
        ),
        spoilt(
            "no_text",
            "gives a text that is not UTF-8",
            crashes("utf-8"),
            &word(0x40, 0xfeff),
        ),
        Case::call(
            "half_a_character",
            "gives a text in UTF-16 with half of a pair",
            crashes("surrogate"),
            r#"(func $tool_calls (param "name" string) (param "arguments" string) (param "context" $context)
                   (result (result $output (error $error)))
                 (canon lift (core func $guest "call") string-encoding=utf16
                   (memory $memory) (realloc $make_room) (post-return (func $guest "answer-was-read"))))

               (data $text (i32.const 0x1040) "\00\d8\00\d8\00\d8\00\d8")"#,
        ),
        spoilt(
            "escapes",
            "gives a text that moves the cursor of a terminal, and one that sets its clipboard",
            Answer("\\u{1b}"),
            &(word(0x40, 0x4a32_5b1b)),
        ),
    ]
}

/// A guest with 100 MiB of memory.
const LARGE: &str = r#"(memory $memory (export "memory") 1700)"#;

fn too_large() -> Vec<Case> {
    let too_large = Fail("output_too_large", "larger than 8388608 bytes");
    // So many pieces, each a text at the same place: `$pieces` writes their list.
    let pieces = |count: usize, bytes: usize| {
        format!(
            "{LARGE}

             (func $call (type $calls)
               (local $at i32)
               (i32.store offset=4 (global.get $answer) (i32.const 0x200000))
               (i32.store offset=8 (global.get $answer) (i32.const {count}))
               (local.set $at (i32.const 0x200000))
               (loop
                 (i32.store offset=4 (local.get $at) (i32.const 0x1000000))
                 (i32.store offset=8 (local.get $at) (i32.const {bytes}))
                 (local.set $at (i32.add (local.get $at) (i32.const 44)))
                 (br_if 0 (i32.lt_u (local.get $at) (i32.const {}))))
               (global.get $answer))",
            0x20_0000 + 44 * count
        )
    };
    vec![
        Case::call(
            "text_of_100_mib",
            "answers with 100 MiB of text",
            too_large,
            &format!(
                "{LARGE}

                 (func $call (type $calls)
                   (i32.store offset=24 (global.get $answer) (i32.const 100_000_000))
                   (global.get $answer))"
            ),
        ),
        Case::call(
            "error_of_100_mib",
            "fails with 100 MiB of text",
            too_large,
            &format!(
                "{LARGE}

                 (func $call (type $calls)
                   (i32.store (global.get $answer) (i32.const 1))
                   (i32.store offset=4 (global.get $answer) (i32.const 4))
                   (i32.store offset=8 (global.get $answer) (i32.const 0x200000))
                   (i32.store offset=12 (global.get $answer) (i32.const 100_000_000))
                   (global.get $answer))"
            ),
        ),
        Case::call(
            "pieces",
            "answers with a thousand pieces",
            Answer("Text"),
            &pieces(1_000, 4),
        ),
        Case::call(
            "empty_pieces",
            "answers with two million pieces that hold nothing",
            too_large,
            &pieces(2_000_000, 0),
        ),
        Case::call(
            "one_text_for_all",
            "answers with 100,000 pieces that are all the same MiB: 100 GiB from 5 MiB",
            too_large,
            &pieces(100_000, 1 << 20),
        ),
    ]
}

/// A guest whose answer is this structured content.
fn structured_as(
    name: &'static str,
    tries: &'static str,
    must: Must,
    schema: &str,
    json: &str,
) -> Case {
    let tool = Tool {
        output_schema: Some(schema.as_bytes()),
        ..Tool::called(name)
    };
    let text = guest::escaped(json.as_bytes());
    let fields = format!(
        "{}

         (data $json (i32.const 0x200000) \"{text}\")

         (func $call (type $calls)
           (i32.store offset=16 (global.get $answer) (i32.const 1))
           (i32.store offset=20 (global.get $answer) (i32.const 0x200000))
           (i32.store offset=24 (global.get $answer) (i32.const {}))
           (global.get $answer))",
        guest::listing(&[tool]),
        json.len()
    );
    Case::bytes(name, tries, must, guest::guest(&fields))
}

const OBJECT: &str = r#"{"type":"object"}"#;

fn structured() -> Vec<Case> {
    let items: Vec<_> = (0..200_000).map(|n| (n % 199_999).to_string()).collect();
    let broken = Fail("broken_contract", "not a JSON object");
    vec![
        structured_as(
            "json_without_end",
            "answers with half of a JSON object",
            broken,
            OBJECT,
            r#"{"a":"#,
        ),
        structured_as(
            "json_of_another_kind",
            "answers with JSON that is no object",
            broken,
            OBJECT,
            "[]",
        ),
        structured_as(
            "deep_json",
            "answers with JSON that is nested 100,000 deep",
            broken,
            OBJECT,
            &format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        structured_as(
            "json_beside_its_schema",
            "answers with JSON that does not fit its own schema",
            Fail("invalid_output", "is not of type"),
            r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
            r#"{"a":1}"#,
        ),
        structured_as(
            "alike_items",
            "answers with 200,000 items that its schema wants compared with each other",
            Fail("invalid_output", ""),
            r#"{"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}}"#,
            &format!("{{\"a\":[{}]}}", items.join(",")),
        ),
        structured_as(
            "json_that_doubles",
            "answers with JSON that is 60 deep, for a schema that looks at every level twice",
            Fail("invalid_output", "too intricate"),
            r##"{"type":"object","anyOf":[{"properties":{"a":{"$ref":"#"}},"required":["b"]},{"properties":{"a":{"$ref":"#"}},"required":["c"]}]}"##,
            &format!("{}{{}}{}", "{\"a\":".repeat(60), "}".repeat(60)),
        ),
    ]
}
