//! One tool, three languages: what a tool is and does must not depend on the language that it is written in.
//!
//! A further language joins by one line in [`LANGUAGES`].

use std::sync::{Arc, Mutex};

use holster_core::types::{ProfileName, ToolName};
use holster_core::{
    Answer, Answering, Call, CallError, CallProgress, Failure, LogMessage, Outcome, Question,
    Session, ToolError, Unanswered,
};
use holster_tests::loopback_api::LoopbackApi;
use holster_tests::{Fixture, component, structured};
use serde_json::{Value, json};

/// The component of each language, built from the same description.
const LANGUAGES: &[&str] = &["parity-rust", "parity-js", "parity-python"];

/// Calls, and how each must end in every language.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn cases() -> Vec<(&'static str, Value, Expected)> {
    let report = |count: Value, extra: Value| {
        let mut arguments = json!({
            "title": "Tides", "ratio": 0.5, "level": "high", "tags": ["sea", "moon"], "author": { "name": "Ann" },
        });
        if !count.is_null() {
            arguments["count"] = count;
        }
        for (name, value) in extra.as_object().into_iter().flatten() {
            arguments[name] = value.clone();
        }
        arguments
    };
    let failed = |error| Expected::Failed(CallError::Tool(error));
    vec![
        (
            "report",
            report(json!(4), json!({})),
            Expected::Structured(json!({
                "summary": "Tides [high] by Ann", "total": 2.0, "tags": ["moon", "sea"], "author": "Ann",
            })),
        ),
        (
            "report",
            report(
                Value::Null,
                json!({ "urgent": true, "note": "é€😀 \"quoted\"" }),
            ),
            Expected::Structured(json!({
                "summary": "Tides [high]! by Ann", "total": 5.0, "tags": ["moon", "sea"], "author": "Ann",
                "note": "é€😀 \"quoted\"",
            })),
        ),
        (
            "report",
            report(
                json!(1),
                json!({ "author": { "name": "Ann", "email": "ann@harbour.example" } }),
            ),
            Expected::Structured(json!({
                "summary": "Tides [high] by Ann <ann@harbour.example>", "total": 0.5, "tags": ["moon", "sea"],
                "author": "Ann",
            })),
        ),
        ("report", report(json!(0), json!({})), Expected::Refused),
        ("report", report(json!(101), json!({})), Expected::Refused),
        ("report", report(json!("4"), json!({})), Expected::Refused),
        (
            "report",
            report(Value::Null, json!({ "level": "extreme" })),
            Expected::Refused,
        ),
        (
            "report",
            report(Value::Null, json!({ "surplus": 1 })),
            Expected::Refused,
        ),
        (
            "report",
            report(Value::Null, json!({ "author": {} })),
            Expected::Refused,
        ),
        ("report", json!({}), Expected::Refused),
        (
            "fail",
            json!({ "kind": "invalid-arguments" }),
            failed(ToolError::InvalidArguments("as asked".into())),
        ),
        (
            "fail",
            json!({ "kind": "unauthorised" }),
            failed(ToolError::Unauthorised("slack".into())),
        ),
        (
            "fail",
            json!({ "kind": "rate-limited" }),
            failed(ToolError::RateLimited(Some(7))),
        ),
        (
            "fail",
            json!({ "kind": "unavailable" }),
            failed(ToolError::Unavailable("as asked".into())),
        ),
        (
            "fail",
            json!({ "kind": "failed" }),
            failed(ToolError::Failed("as asked".into())),
        ),
        (
            "account",
            json!({}),
            Expected::Structured(json!({
                "provider": "slack", "profile": "work", "account": "ann", "scopes": ["channels:history", "channels:read"],
                "expires": false, "undeclared": "not-declared: github", "signature": "unsupported",
            })),
        ),
        (
            "fetch",
            json!({}),
            Expected::Structured(json!({ "status": 200, "user": "ann" })),
        ),
        (
            "misuse",
            json!({ "kind": "spin" }),
            Expected::Limit(|error| matches!(error, CallError::TimedOut(_))),
        ),
        (
            "misuse",
            json!({ "kind": "print" }),
            Expected::Limit(|error| matches!(error, CallError::TimedOut(_))),
        ),
        (
            "misuse",
            json!({ "kind": "large" }),
            Expected::Limit(|error| {
                matches!(
                    error,
                    CallError::OutputTooLarge(_) | CallError::OutOfMemory(_)
                )
            }),
        ),
        (
            "misuse",
            json!({ "kind": "allocate" }),
            Expected::Limit(|error| {
                matches!(
                    error,
                    CallError::OutOfMemory(_) | CallError::Tool(ToolError::Failed(_))
                )
            }),
        ),
        // A language with a recursion limit of its own answers before the stack is used up.
        (
            "misuse",
            json!({ "kind": "recurse" }),
            Expected::Limit(|error| {
                matches!(
                    error,
                    CallError::StackOverflow | CallError::Tool(ToolError::Failed(_))
                )
            }),
        ),
        (
            "misuse",
            json!({ "kind": "trap" }),
            Expected::Limit(|error| matches!(error, CallError::Trapped(_) | CallError::Exited)),
        ),
    ]
}

/// How a call must end.
enum Expected {
    /// With this structured answer.
    Structured(Value),
    /// Before the guest: the arguments do not fit the schema.
    Refused,
    /// With this error.
    Failed(CallError),
    /// With one of these errors.
    Limit(fn(&CallError) -> bool),
}

/// Writes down what a tool says, and answers what it asks.
#[derive(Debug)]
struct Listener {
    heard: Mutex<Vec<Value>>,
    answer: Result<Answer, Unanswered>,
}

impl Session for Listener {
    fn log(&self, message: LogMessage) {
        let heard = json!({ "level": message.level.as_str(), "text": message.text });
        self.heard.lock().unwrap().push(heard);
    }

    fn progress(&self, progress: CallProgress) {
        let CallProgress {
            done,
            total,
            message,
        } = progress;
        let heard = json!({ "done": done, "total": total, "message": message });
        self.heard.lock().unwrap().push(heard);
    }

    fn ask(&self, question: Question) -> Answering {
        let schema: Value = serde_json::from_str(&question.schema).unwrap();
        let heard = json!({ "message": question.message, "schema": schema });
        self.heard.lock().unwrap().push(heard);
        let answer = self.answer.clone();
        Box::pin(async { answer })
    }
}

fn fixture(language: &str, api: &LoopbackApi) -> Fixture {
    let url = api.url();
    let fixture = Fixture::new(&format!(
        "default_profile = 'work'\n[limits]\ntime_ms = 3000\n[profiles.empty]\n\
         [profiles.work.credentials.slack]\ntoken = {{ file = 'slack-token' }}\naccount = 'ann'\n\
         scopes = ['channels:history', 'channels:read']\n\
         [providers.slack]\nhosts = ['{url}']\n[components.{language}.config]\nbase_url = '{url}'\n",
    ));
    fixture.write_private("slack-token", "work-slack-token\n");
    fixture.plug_in(&component(language));
    fixture
}

fn call(tool: &str, arguments: &Value) -> Call {
    let arguments = arguments
        .as_object()
        .expect("arguments are an object")
        .clone();
    Call::local(ToolName::new(tool).expect("a valid name"), arguments)
}

/// The value with all numbers in one form: to JSON, and to JavaScript, 2 and 2.0 are the same number.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.iter().map(comparable).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), comparable(value)))
            .collect(),
        other => other.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_says_the_same_of_its_tools() {
    let api = LoopbackApi::start().await.unwrap();
    let mut first = None;
    for language in LANGUAGES {
        let fixture = fixture(language, &api);
        let host = fixture.host().await;
        let view = host.settled().await;
        assert!(
            view.problems().is_empty(),
            "{language}: {:?}",
            view.problems()
        );
        let definitions: Vec<_> = view
            .tools()
            .map(|tool| serde_json::to_value(tool.definition()).unwrap())
            .collect();
        assert_eq!(definitions.len(), 6, "{language}");
        let first = first.get_or_insert_with(|| definitions.clone());
        for (own, firsts) in definitions.iter().zip(first.iter()) {
            assert_eq!(own, firsts, "{language} against {}", LANGUAGES[0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_answers_fails_and_is_limited_in_the_same_way() {
    let api = LoopbackApi::start().await.unwrap();
    for language in LANGUAGES {
        let fixture = fixture(language, &api);
        let host = fixture.host().await;
        for (tool, arguments, expected) in cases() {
            let what = format!("{language}: {tool} {arguments}");
            let outcome = host.call(call(tool, &arguments)).await;
            match (expected, outcome) {
                (Expected::Structured(value), Outcome::Finished(finished)) => {
                    let answer = finished.output.structured().map(comparable);
                    assert_eq!(answer, Some(comparable(&value)), "{what}");
                }
                (Expected::Refused, Outcome::Failed(Failure::InvalidArguments { .. })) => {}
                (Expected::Failed(wanted), Outcome::Failed(Failure::Run { error, .. })) => {
                    assert_eq!(error, wanted, "{what}");
                }
                (Expected::Limit(fits), Outcome::Failed(Failure::Run { error, .. })) => {
                    assert!(fits(&error), "{what}: {error:?}");
                }
                (_, outcome) => panic!("{what} ended otherwise: {outcome:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_is_refused_by_the_api_and_interrupted_by_the_host_in_the_same_way() {
    let api = LoopbackApi::start().await.unwrap();
    for language in LANGUAGES {
        let fixture = fixture(language, &api);
        let host = fixture.host().await;

        let mut without = call("fetch", &json!({}));
        without.profile = Some(ProfileName::new("empty").unwrap());
        api.take_requests();
        let outcome = host.call(without).await;
        assert!(
            matches!(outcome, Outcome::Interrupted(_)),
            "{language}: {outcome:?}"
        );
        assert!(api.take_requests().is_empty(), "{language} was started");

        fixture.write_private("slack-token", "a-token-that-nobody-issued\n");
        let outcome = host.call(call("fetch", &json!({}))).await;
        let refused = CallError::Tool(ToolError::Unauthorised("slack".into()));
        assert!(
            matches!(&outcome, Outcome::Failed(Failure::Run { error, .. }) if *error == refused),
            "{language}: {outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_reports_and_asks_in_the_same_way() {
    let api = LoopbackApi::start().await.unwrap();
    let visit = |extra: Value| {
        let mut visit = json!({ "name": "Ann", "meal": "fish" });
        for (name, value) in extra.as_object().into_iter().flatten() {
            visit[name] = value.clone();
        }
        Ok(Answer::Accept(visit))
    };
    let unanswered = Unanswered::NoAnswer("the person is gone".to_owned());
    let unsupported = Unanswered::Unsupported("nobody is there".to_owned());
    let cases = [
        (
            visit(json!({})),
            Some(json!({ "ended": "accept", "who": "Ann with nobody for fish" })),
        ),
        (
            visit(json!({ "guests": 2 })),
            Some(json!({ "ended": "accept", "who": "Ann with 2 for fish" })),
        ),
        (Ok(Answer::Decline), Some(json!({ "ended": "decline" }))),
        (Ok(Answer::Cancel), Some(json!({ "ended": "cancel" }))),
        (Err(unsupported), Some(json!({ "ended": "unsupported" }))),
        (Err(unanswered), None),
        (visit(json!({ "guests": -1 })), None),
    ];
    let mut first = None;
    for language in LANGUAGES {
        let fixture = fixture(language, &api);
        let host = fixture.host().await;
        for (answer, expected) in &cases {
            let listener = Arc::new(Listener {
                heard: Mutex::default(),
                answer: answer.clone(),
            });
            let mut call = call("invite", &json!({}));
            call.session = Some(Arc::clone(&listener) as _);
            let outcome = host.call(call).await;
            match (expected, &outcome) {
                (Some(expected), outcome) => {
                    assert_eq!(structured(outcome), *expected, "{language}");
                }
                (None, Outcome::Failed(Failure::Run { error, .. })) => {
                    let CallError::Tool(ToolError::Unavailable(why)) = error else {
                        panic!("{language}: {error:?}");
                    };
                    assert!(why.starts_with("there is no answer: "), "{language}: {why}");
                }
                (None, outcome) => panic!("{language}: {outcome:?}"),
            }
            let heard = listener.heard.lock().unwrap().clone();
            assert_eq!(heard.len(), 5, "{language}: {heard:?}");
            let first = first.get_or_insert_with(|| heard.clone());
            assert_eq!(heard, *first, "{language} against {}", LANGUAGES[0]);
        }
        let outcome = host.call(call("invite", &json!({}))).await;
        assert_eq!(
            structured(&outcome),
            json!({ "ended": "unsupported" }),
            "{language}"
        );
    }
}

#[test]
fn a_tool_that_says_and_asks_nothing_does_not_import_the_means() {
    for component in ["text-statistics", "github-issues"] {
        let bytes = std::fs::read(holster_tests::component(component)).unwrap();
        let imports = holster_core::inspect(&bytes).unwrap().imports;
        assert!(
            !imports
                .iter()
                .any(|import| import.starts_with("holster:plugin/session")),
            "{imports:?}"
        );
    }
}
