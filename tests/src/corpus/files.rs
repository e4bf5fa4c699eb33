//! Files that are no components, or components that nobody should compile.

use super::case::Case;
use super::case::Must::{Answer, BeRefused};
use super::guest::{Tool, assembled, guest, listing, with_fields};

pub(super) fn cases() -> Vec<Case> {
    [no_components(), other_worlds(), bombs()]
        .into_iter()
        .flatten()
        .collect()
}

fn harmless(name: &str) -> Vec<u8> {
    guest(&listing(&[Tool::called(name)]))
}

fn no_components() -> Vec<Case> {
    let whole = harmless("whole");
    let half = whole[..whole.len() / 2].to_vec();
    let garbage = [&whole[..8], &[0xff; 4096]].concat();
    let spoilt: Vec<u8> = whole
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if at > 8 && at % 97 == 0 {
                byte ^ 0x55
            } else {
                *byte
            }
        })
        .collect();
    vec![
        Case::bytes("empty", "is empty", BeRefused("empty"), Vec::new()),
        Case::bytes(
            "text",
            "is a text",
            BeRefused("not WebAssembly"),
            b"(component)".to_vec(),
        ),
        Case::bytes(
            "core_module",
            "is a core module",
            BeRefused("core module"),
            assembled("(module)"),
        ),
        Case::bytes(
            "half",
            "ends in the middle",
            BeRefused("invalid at byte"),
            half,
        ),
        Case::bytes(
            "garbage",
            "begins like a component and goes on with garbage",
            BeRefused("invalid at byte"),
            garbage,
        ),
        Case::bytes(
            "spoilt",
            "is a component with every 97th byte changed",
            BeRefused("invalid at byte"),
            spoilt,
        ),
        Case::bytes(
            "oversized",
            "has 130 MiB",
            BeRefused("at most"),
            [&whole[..], &vec![0; 130 << 20]].concat(),
        ),
    ]
}

fn other_worlds() -> Vec<Case> {
    let tool = r#"(instance $tool) (export "holster:plugin/tool@0.1.0" (instance $tool))"#;
    vec![
        Case::bytes(
            "no_tool",
            "exports no tool",
            BeRefused("exports no"),
            assembled("(component)"),
        ),
        Case::bytes(
            "tool_of_another_version",
            "exports a tool of a version to come",
            BeRefused("serves versions"),
            assembled(
                r#"(component (instance $tool) (export "holster:plugin/tool@9.0.0" (instance $tool)))"#,
            ),
        ),
        Case::bytes(
            "tool_without_functions",
            "exports a tool that has no functions",
            BeRefused("does not fit the world"),
            assembled(&format!("(component {tool})")),
        ),
        Case::bytes(
            "import_of_the_kernel",
            "imports an interface that the world does not have",
            BeRefused("which the world `holster:plugin/plugin` does not offer"),
            assembled(&format!(
                r#"(component (import "acme:kernel/ring-zero@1.0.0" (instance)) {tool})"#
            )),
        ),
        Case::bytes(
            "import_with_escapes",
            "imports something whose name is no name",
            BeRefused("invalid at byte"),
            {
                let text = format!(
                    r#"(component (import "acme:kernel/ring-zero@1.0.0" (instance)) {tool})"#
                );
                let mut bytes = assembled(&text);
                let at = bytes
                    .windows(4)
                    .position(|window| window == b"ring")
                    .expect("it is there");
                bytes[at..at + 4].copy_from_slice(b"\x1b[2J");
                bytes
            },
        ),
        Case::bytes(
            "import_of_another_type",
            "imports random numbers as a function of another type",
            BeRefused("does not fit the world"),
            assembled(&format!(
                r#"(component
                     (import "wasi:random/random@0.2.12" (instance (export "get-random-bytes" (func (result string)))))
                     {tool})"#
            )),
        ),
    ]
}

fn bombs() -> Vec<Case> {
    let own = |name: &str, fields: &str| {
        guest(&format!("{}\n\n{fields}", listing(&[Tool::called(name)])))
    };
    vec![
        Case::bytes(
            "many_functions",
            "has 20,000 functions",
            Answer("done"),
            own(
                "many_functions",
                &"(func (result i32) (i32.const 1))\n".repeat(20_000),
            ),
        ),
        Case::bytes(
            "large_function",
            "has a function of 200,000 instructions in one block",
            Answer("done"),
            own(
                "large_function",
                &format!(
                    "(func (param i32) (result i32) (local.get 0) {})",
                    "(i32.popcnt) (i32.clz)\n".repeat(100_000)
                ),
            ),
        ),
        Case::bytes(
            "many_types",
            "has a hundred thousand types",
            Answer("done"),
            own("many_types", &"(type (func (param i32)))\n".repeat(100_000)),
        ),
        Case::bytes(
            "nested",
            "is nested 2,000 deep",
            BeRefused("exports no"),
            nested(2_000),
        ),
        Case::bytes(
            "large_data",
            "holds 60 MiB of data",
            Answer("done"),
            own(
                "large_data",
                &format!("(data $letters \"{}\")", "a".repeat(60 << 20)),
            ),
        ),
        Case::bytes(
            "many_instances",
            "is made of a thousand instances",
            BeRefused("instances"),
            with_instances(1_000),
        ),
    ]
}

/// A component that is as it has to be, and instantiates a module so many times.
fn with_instances(count: usize) -> Vec<u8> {
    let harmless = with_fields(&listing(&[Tool::called("many_instances")]));
    let whole = harmless
        .trim_end()
        .strip_suffix(')')
        .expect("it is one component");
    let instances = "(core instance (instantiate $empty))\n".repeat(count);
    assembled(&format!("{whole} (core module $empty) {instances})"))
}

/// A component in a component in a component, and so on.
fn nested(levels: usize) -> Vec<u8> {
    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    (0..levels).fold(HEADER.to_vec(), |inner, _| {
        [HEADER, &[4], &length(inner.len()), &inner].concat()
    })
}

/// A length in LEB128, in all the five bytes that it may have.
fn length(bytes: usize) -> [u8; 5] {
    let digit = |at: usize| u8::try_from(bytes >> (7 * at) & 0x7f).expect("seven bits");
    [
        0x80 | digit(0),
        0x80 | digit(1),
        0x80 | digit(2),
        0x80 | digit(3),
        digit(4),
    ]
}
