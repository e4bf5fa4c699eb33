//! Guests whose lists of tools are not what they have to be.

use super::case::Case;
use super::case::Must::{self, Answer, BeRefused, Fail};
use super::guest::Tool;

pub(super) fn cases() -> Vec<Case> {
    [lists(), schemas()].into_iter().flatten().collect()
}

fn lists() -> Vec<Case> {
    let many: Vec<_> = (0..10_000).map(|n| format!("tool_{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| Tool::called(name)).collect();
    let named = |name| Tool {
        name,
        ..Tool::called("")
    };
    let described = |description| Tool {
        description,
        ..Tool::called("described")
    };
    vec![
        Case::list("no_tools", "lists no tool", BeRefused("gives no tool"), &[]),
        Case::list(
            "many_tools",
            "lists ten thousand tools",
            BeRefused("gives 10000 tools"),
            &many,
        ),
        Case::list(
            "twice_the_same",
            "lists the same tool twice",
            BeRefused("two tools are called `same`"),
            &[Tool::called("same"); 2],
        ),
        Case::list(
            "no_name",
            "lists a tool without a name",
            BeRefused("tool 1"),
            &[named(b"")],
        ),
        Case::list(
            "name_with_escapes",
            "lists a tool whose name moves the cursor of a terminal",
            BeRefused("\\u{1b}[2J"),
            &[named(b"\x1b[2Jgone")],
        ),
        Case::list(
            "name_in_bytes",
            "lists a tool whose name is not UTF-8",
            BeRefused("utf-8"),
            &[named(b"\xff\xfe")],
        ),
        Case::list(
            "long_name",
            "lists a tool whose name has 100,000 characters",
            BeRefused("64 characters"),
            &[named(&[b'a'; 100_000])],
        ),
        Case::list(
            "no_description",
            "lists a tool without a description",
            BeRefused("description"),
            &[described(b"")],
        ),
        Case::list(
            "long_description",
            "lists a tool with a description of 100,000 bytes",
            BeRefused("100000 bytes"),
            &[described(&[b'a'; 100_000])],
        ),
        Case::list(
            "description_with_escapes",
            "describes its tool with what moves the cursor of a terminal",
            Answer("done"),
            &[Tool {
                description: b"\x1b[2J\x1b]0;gone\x07",
                ..Tool::called("description_with_escapes")
            }],
        ),
        Case::list(
            "unknown_provider",
            "requires an account at a provider that nobody knows",
            Fail("accounts", "nobody-knows"),
            &[Tool {
                provider: Some(b"nobody-knows"),
                ..Tool::called("unknown_provider")
            }],
        ),
        Case::list(
            "provider_with_a_path",
            "requires an account at a provider whose name climbs out of a folder",
            BeRefused("requirement 1"),
            &[Tool {
                provider: Some(b"../../etc/passwd"),
                ..Tool::called("provider_with_a_path")
            }],
        ),
    ]
}

/// A guest whose tool wants arguments of this schema.
fn schema(name: &'static str, tries: &'static str, must: Must, schema: &str) -> Case {
    let tool = Tool {
        input_schema: schema.as_bytes(),
        ..Tool::called(name)
    };
    Case::list(name, tries, must, &[tool])
}

fn schemas() -> Vec<Case> {
    let deep = |levels: usize| {
        format!("{}{}", r#"{"type":"object","not":"#.repeat(levels), "{}") + &"}".repeat(levels)
    };
    let next = |n: usize| {
        format!(
            r##""s{n}":{{"allOf":[{{"$ref":"#/$defs/s{0}"}},{{"$ref":"#/$defs/s{0}"}}]}}"##,
            n + 1
        )
    };
    let doubling = format!(
        r##"{{"type":"object","$ref":"#/$defs/s0","$defs":{{{},"s40":{{}}}}}}"##,
        (0..40).map(next).collect::<Vec<_>>().join(",")
    );
    vec![
        schema(
            "schema_in_words",
            "describes its arguments in words",
            BeRefused("is not JSON"),
            "any",
        ),
        schema(
            "large_schema",
            "has a schema of 1 MiB",
            BeRefused("1048"),
            &format!(
                r#"{{"type":"object","description":"{}"}}"#,
                "a".repeat(1 << 20)
            ),
        ),
        schema(
            "deep_schema",
            "has a schema that is nested 2,000 deep",
            BeRefused("recursion limit"),
            &deep(2_000),
        ),
        schema(
            "schema_of_depth_100",
            "has a schema that says `not` 100 times",
            Answer(""),
            &deep(100),
        ),
        schema(
            "schema_from_the_web",
            "has a schema that refers to one on the web",
            BeRefused("not a valid JSON Schema"),
            r#"{"type":"object","$ref":"https://evil.example/schema"}"#,
        ),
        schema(
            "schema_from_a_file",
            "has a schema that refers to a file of the host",
            BeRefused("not a valid JSON Schema"),
            r#"{"type":"object","$ref":"file:///etc/passwd"}"#,
        ),
        schema(
            "schema_of_itself",
            "has a schema that is itself, and nothing else",
            Answer("done"),
            r##"{"type":"object","$ref":"#"}"##,
        ),
        schema(
            "schema_that_doubles",
            "has a schema that refers twice to the next one, 40 times",
            Fail("invalid_arguments", "too intricate"),
            &doubling,
        ),
        schema(
            "schema_that_doubles_for_the_rest",
            "has a schema that refers twice to the next one, 40 times, and asks what that leaves over",
            BeRefused("too often"),
            &doubling.replacen('{', r#"{"unevaluatedProperties":false,"#, 1),
        ),
        schema(
            "schema_of_thousands",
            "has a schema that says 2,000 times what a text may be",
            Answer("done"),
            &format!(
                r#"{{"type":"object","properties":{{"text":{{"allOf":[{}{{}}]}}}}}}"#,
                r#"{"pattern":"^(a|aa)*!"},"#.repeat(2_000)
            ),
        ),
        schema(
            "pattern_that_backtracks",
            "has a pattern that tries every way to divide a text",
            Fail("invalid_arguments", "text"),
            r#"{"type":"object","properties":{"text":{"pattern":"^(a+)+$"}}}"#,
        ),
        schema(
            "pattern_that_looks_ahead",
            "has a pattern that looks ahead and tries every way to divide a text",
            Fail("invalid_arguments", "text"),
            r#"{"type":"object","properties":{"text":{"pattern":"^(?=(a+)+$)(a|aa)+$"}}}"#,
        ),
        schema(
            "pattern_that_repeats",
            "has a pattern of a thousand million characters",
            BeRefused("pattern"),
            r#"{"type":"object","properties":{"text":{"pattern":"((a{1000}){1000}){1000}"}}}"#,
        ),
    ]
}
