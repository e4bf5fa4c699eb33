//! The command line: what scripts rely on. Exit codes, the keys of `--json`, and errors that say what to do.

use std::fs;
use std::process::Output;

use holster_tests::{Fixture, component, report_arguments, repository};
use serde_json::Value;

fn fixture() -> Fixture {
    let fixture = Fixture::new(
        "default_profile = 'work'\n[profiles.work.credentials.github]\ntoken = { file = 'token' }\n[profiles.empty]",
    );
    fixture.write_private("token", "some-token");
    fixture.plug_in(&component("parity-rust"));
    fixture
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// What the command prints on standard output, having ended with `code`.
fn stdout(fixture: &Fixture, arguments: &[&str], code: i32) -> String {
    let output = fixture.holster(arguments);
    let (stdout, stderr) = texts(&output);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {stdout}{stderr}"
    );
    stdout
}

fn json(fixture: &Fixture, arguments: &[&str], code: i32) -> Value {
    let arguments = [&["--json"], arguments].concat();
    let text = stdout(fixture, &arguments, code);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

/// The shape of a value: keys and types, lists by their first item.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        Value::Object(map) => {
            let mut fields: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{key}: {}", shape(value)))
                .collect();
            fields.sort();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

#[test]
fn the_json_of_every_command_keeps_its_shape() {
    let fixture = fixture();
    let report = report_arguments().to_string();
    let entry =
        "[{bytes: number, component: string, current: bool, tools: [string], used: number}]";
    let cases: [(&[&str], i32, &str); 12] = [
        (&["cache", "list"], 0, "[]"),
        (&["cache", "warm"], 0, "{problems: [], tools: number}"),
        (&["cache", "list"], 0, entry),
        (&["cache", "verify"], 0, entry),
        (
            &["call", "report", &report],
            0,
            "{accounts: [], component: string, content: [{type: string, value: {author: string, summary: string, \
             tags: [string], total: number}}], duration_ms: number, hash: string, outcome: string}",
        ),
        (
            &["call", "misuse", r#"{ "kind": "trap" }"#],
            1,
            "{error: string, outcome: string}",
        ),
        (
            &["call", "fetch"],
            3,
            "{missing: [{connection: string, profile: string, provider: string, reason: string, remedy: string, \
             scopes: [string], url: string}], outcome: string, tool: string}",
        ),
        (
            &["auth", "list"],
            0,
            "[{account: null, created_at: null, expires_at: null, kind: string, place: string, problem: null, \
             profile: string, provider: string, scopes: null, source: string, updated_at: null}]",
        ),
        (&["auth", "remove", "slack"], 1, ""),
        (
            &["profiles"],
            0,
            "{default: string, profiles: [{configured: bool, credentials: number, name: string}]}",
        ),
        (&["cache", "clear"], 0, "{removed: number}"),
        (&["cache", "verify"], 0, "[]"),
    ];
    for (arguments, code, expected) in cases {
        if expected.is_empty() {
            assert_eq!(stdout(&fixture, arguments, code), "", "{arguments:?}");
        } else {
            assert_eq!(
                shape(&json(&fixture, arguments, code)),
                expected,
                "{arguments:?}"
            );
        }
    }
}

#[test]
fn json_says_the_same_of_a_tool_where_it_is_listed_and_where_it_is_inspected() {
    let fixture = fixture();
    let listed = json(&fixture, &["tools"], 0);
    assert_eq!(
        shape(&listed["problems"]) + &shape(&listed["conflicts"]),
        "[][]"
    );
    let listed = listed["tools"].as_array().unwrap();
    let inspected = json(&fixture, &["inspect", "plugins/parity-rust.wasm"], 0);
    assert_eq!(inspected["version"], "0.1.0");
    for tool in inspected["tools"].as_array().unwrap() {
        let same = listed.iter().find(|other| other["name"] == tool["name"]);
        let mut same = same
            .unwrap_or_else(|| panic!("{tool} is not listed"))
            .clone();
        let fields = same.as_object_mut().unwrap();
        assert_eq!(fields.remove("component"), Some("parity-rust".into()));
        assert_eq!(fields.remove("hash"), Some(inspected["hash"].clone()));
        assert_eq!(same, *tool);
    }
    assert_eq!(listed.len(), inspected["tools"].as_array().unwrap().len());
}

#[test]
fn providers_are_listed_with_what_is_known_of_each() {
    let fixture = fixture();
    let all = json(&fixture, &["providers"], 0);
    let slack = json(&fixture, &["providers", "show", "slack"], 0);
    assert_eq!(slack["id"], "slack");
    assert!(all.as_array().unwrap().contains(&slack));
}

#[test]
fn the_exit_code_says_how_a_command_ended() {
    let fixture = fixture();
    let report = report_arguments().to_string();
    let cases: [(&[&str], i32, &str); 13] = [
        (&["call", "report", &report], 0, ""),
        (
            &["call", "report", "{}"],
            1,
            "do not fit the input schema of `report`",
        ),
        (&["call", "reports"], 1, "did you mean `report`?"),
        (
            &["call", "misuse", r#"{ "kind": "trap" }"#],
            1,
            "the tool crashed",
        ),
        (
            &["call", "fail", r#"{ "kind": "unavailable" }"#],
            1,
            "as asked",
        ),
        (
            &["call", "report", "[]"],
            2,
            "the arguments are not a JSON object",
        ),
        (
            &["call", "report", "@nowhere.json"],
            2,
            "cannot read nowhere.json",
        ),
        (&["call", "not a name"], 2, "is not a tool name"),
        (&["conjure"], 2, "unrecognized subcommand"),
        (
            &["--config", "nowhere.toml", "tools"],
            2,
            "cannot read nowhere.toml",
        ),
        (
            &["inspect", "holster.toml"],
            1,
            "holster.toml: this is not WebAssembly",
        ),
        (
            &["call", "fetch"],
            3,
            "`slack` for profile `work` is not connected; open http://127.0.0.1:",
        ),
        (
            &["call", "fetch", "--profile", "empty"],
            3,
            "`slack` for profile `empty` is not connected; open http://127.0.0.1:",
        ),
    ];
    for (arguments, code, message) in cases {
        let output = fixture.holster(arguments);
        let (stdout, stderr) = texts(&output);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {stdout}{stderr}"
        );
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
        assert_eq!(stdout.is_empty(), code != 0, "{arguments:?}: {stdout}");
    }
}

#[test]
fn arguments_come_from_the_command_line_a_file_or_standard_input() {
    let fixture = fixture();
    let report = report_arguments().to_string();
    fs::write(fixture.path("arguments.json"), &report).unwrap();
    let expected = stdout(&fixture, &["call", "report", &report], 0);
    assert!(expected.contains("Tides [high] by Ann"), "{expected}");
    assert_eq!(
        stdout(&fixture, &["call", "report", "@arguments.json"], 0),
        expected
    );
    let (piped, stderr) = texts(&fixture.holster_with(&["call", "report", "-"], &report));
    assert_eq!(piped, expected, "{stderr}");
}

#[test]
fn every_shell_gets_its_completions() {
    let fixture = fixture();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(&fixture, &["completions", shell], 0);
        for word in ["completions", "providers", "--plugins"] {
            // fish names a long option without its dashes.
            let word = word.trim_start_matches('-');
            assert!(script.contains(word), "{shell} does not know `{word}`");
        }
    }
}

#[test]
fn the_schema_for_editors_is_the_one_that_is_checked_in() {
    let file = repository().join("host/core/holster.schema.json");
    let written = fs::read_to_string(&file).unwrap_or_default();
    let printed = stdout(&fixture(), &["schema"], 0);
    assert_eq!(
        written,
        printed,
        "write it anew: holster schema > {}",
        file.display()
    );
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_file_line_and_what_is_allowed() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "\nplugin = 'x'",
            &[
                "line 5",
                "unknown field `plugin`",
                "expected one of `plugins`",
            ],
        ),
        ("[engine]\npooling = 3", &["line 5", "expected a boolean"]),
        (
            "[components.x]\nhosts = ['*']",
            &["line 5", "is not a host pattern"],
        ),
        (
            "[limits]\ntime_ms = 0",
            &["limits", "`time_ms` is 0; it must be between 1 and 600000"],
        ),
    ];
    for (text, parts) in cases {
        let fixture = Fixture::new(text);
        let output = fixture.holster(&["tools"]);
        let (stdout, stderr) = texts(&output);
        assert_eq!(
            (output.status.code(), stdout.as_str()),
            (Some(2), ""),
            "{text}: {stderr}"
        );
        for part in parts.iter().chain(&["holster.toml"]) {
            assert!(
                stderr.contains(part),
                "{text}: `{part}` is not in: {stderr}"
            );
        }
    }
}

#[test]
fn tools_are_printed_as_the_api_of_a_model_takes_them() {
    let fixture = fixture();
    let listed = json(&fixture, &["tools"], 0);
    let listed = listed["tools"].as_array().unwrap();
    for (format, tools, name, schema) in [
        ("openai", "", "/name", "/parameters"),
        ("openai-chat", "", "/function/name", "/function/parameters"),
        ("anthropic", "", "/name", "/input_schema"),
        (
            "gemini",
            "/0/functionDeclarations",
            "/name",
            "/parametersJsonSchema",
        ),
    ] {
        let printed = stdout(&fixture, &["tools", "--format", format], 0);
        let printed: Value = serde_json::from_str(&printed).unwrap();
        let printed = printed.pointer(tools).unwrap().as_array().unwrap();
        let known = |tool: &Value| [tool.pointer(name).cloned(), tool.pointer(schema).cloned()];
        let printed: Vec<_> = printed.iter().map(known).collect();
        let expected = listed.iter().map(|tool| {
            let part = |key: &str| tool.get(key).cloned();
            [part("name"), part("input_schema")]
        });
        assert_eq!(printed, expected.collect::<Vec<_>>(), "{format}");
    }
}

#[test]
fn files_that_are_not_served_are_told_of_beside_the_format() {
    let fixture = fixture();
    fixture.plug_in_bytes(b"no component", "broken.wasm");
    let output = fixture.holster(&["tools", "--format", "anthropic"]);
    let (printed, told) = texts(&output);
    assert!(serde_json::from_str::<Value>(&printed).is_ok(), "{printed}");
    assert!(told.contains("broken.wasm is not served"), "{told}");
}

#[test]
fn what_a_tool_says_goes_to_standard_error_and_its_answer_stays_apart() {
    let fixture = fixture();
    let output = fixture.holster(&["--json", "call", "invite"]);
    let (stdout, stderr) = texts(&output);
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    // There is no terminal to ask at.
    assert_eq!(
        answer["content"][0]["value"]["ended"], "unsupported",
        "{stdout}"
    );
    for line in [
        "info: it begins: é€😀\n",
        "progress: 1 of 2.5 asking\n",
        "progress: 2\n",
        "warning: it ends\n",
    ] {
        assert!(stderr.contains(line), "{stderr}");
    }
}
