//! What `#[tool]` makes of a function, told as an author sees it: definitions, and answers to calls.

use holster_sdk::output::Content;
use holster_sdk::{Behaviour, Context, Output, Requirement, Tool, ToolDefinition, ToolError, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn call<T: Tool>(arguments: &Value) -> Result<Output, ToolError> {
    let context = Context {
        thread: "t-1".into(),
        profile: "work".into(),
        deadline: 1_000,
    };
    T::call(&arguments.to_string(), &context)
}

fn structured<T: Tool>(arguments: &Value) -> Value {
    match call::<T>(arguments).unwrap().content.as_slice() {
        [Content::Structured(text)] => serde_json::from_str(text).unwrap(),
        other => panic!("not one structured item: {other:?}"),
    }
}

fn input_schema(definition: &ToolDefinition) -> Value {
    serde_json::from_str(&definition.input_schema).unwrap()
}

fn output_schema<T: Tool>() -> Option<Value> {
    T::definition()
        .output_schema
        .map(|schema| serde_json::from_str(&schema).unwrap())
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    Newest,
    Oldest,
}

#[derive(Serialize, JsonSchema)]
struct Found {
    /// What was looked for.
    query: String,
    /// What it is about, if anybody knows.
    topic: Option<String>,
    order: Order,
}

/// Searches the archive.
///
/// It is a large one.
///
/// # Errors
/// None that a model needs to know.
#[tool(
    name = "archive-search",
    title = "Archive",
    auth(provider = "github", scopes = ["repo", "user"]),
    auth(provider = "weather"),
    read_only,
    destructive = false,
    open_world,
)]
fn search(
    /// What to look for.
    query: String,
    /// How many results.
    #[param(default = 20, range = 1..=100)]
    limit: u32,
    #[param(default = Order::Newest)] order: Order,
    #[param(default = "en", length = 2..=2)] language: String,
    #[param(default)] exact: bool,
    r#type: Option<String>,
) -> Found {
    assert_eq!((limit, language.as_str(), exact), (20, "en", false));
    Found {
        query,
        topic: r#type,
        order,
    }
}

#[test]
fn a_definition_says_what_the_author_wrote() {
    let definition = search::definition();
    assert_eq!(definition.name, "archive-search");
    assert_eq!(definition.title.as_deref(), Some("Archive"));
    assert_eq!(
        definition.description,
        "Searches the archive.\n\nIt is a large one."
    );
    assert_eq!(
        definition.requirements,
        [
            Requirement {
                provider: "github".into(),
                scopes: vec!["repo".into(), "user".into()]
            },
            Requirement {
                provider: "weather".into(),
                scopes: vec![]
            },
        ]
    );
    assert_eq!(
        definition.behaviour,
        Behaviour {
            read_only: Some(true),
            destructive: Some(false),
            idempotent: None,
            open_world: Some(true)
        }
    );
    assert_eq!(
        input_schema(&definition),
        json!({
            "type": "object",
            "properties": {
                "query": { "type": "string", "description": "What to look for." },
                "limit": {
                    "type": "integer", "minimum": 1, "maximum": 100, "default": 20, "description": "How many results.",
                },
                "order": { "type": "string", "enum": ["newest", "oldest"], "default": "newest" },
                "language": { "type": "string", "minLength": 2, "maxLength": 2, "default": "en" },
                "exact": { "type": "boolean", "default": false },
                "type": { "type": "string" },
            },
            "required": ["query"],
            "additionalProperties": false,
        })
    );
    assert_eq!(
        output_schema::<search>(),
        Some(json!({
            "type": "object",
            "properties": {
                "query": { "type": "string", "description": "What was looked for." },
                "topic": { "type": "string", "description": "What it is about, if anybody knows." },
                "order": { "type": "string", "enum": ["newest", "oldest"] },
            },
            "required": ["query", "order"],
            "additionalProperties": false,
        }))
    );
}

#[test]
fn what_is_left_out_has_its_default_and_what_is_absent_is_left_out() {
    assert_eq!(
        structured::<search>(&json!({ "query": "q" })),
        json!({ "query": "q", "order": "newest" })
    );
    assert_eq!(
        structured::<search>(&json!({ "query": "q", "type": "t", "order": "oldest" })),
        json!({ "query": "q", "topic": "t", "order": "oldest" })
    );
}

#[test]
fn arguments_that_do_not_fit_are_refused_by_name() {
    for (arguments, message) in [
        (json!({}), "`query` is missing"),
        (
            json!({ "query": 1 }),
            "`query`: invalid type: integer `1`, expected a string",
        ),
        (
            json!({ "query": "q", "order": "best" }),
            "`order`: unknown variant `best`, expected `newest` or `oldest`",
        ),
        (
            json!({ "query": "q", "colour": "red" }),
            "there is no parameter `colour`",
        ),
    ] {
        assert_eq!(
            call::<search>(&arguments),
            Err(ToolError::InvalidArguments(message.into()))
        );
    }
}

/// Says something.
#[tool]
fn text() -> &'static str {
    "hello"
}

/// Does something.
#[tool]
fn nothing() {}

/// Does something, perhaps.
#[tool]
fn fallible(fails: bool) -> Result<(), ToolError> {
    if fails {
        Err(ToolError::RateLimited(Some(7)))
    } else {
        Ok(())
    }
}

/// Draws something.
#[tool]
fn explicit() -> Output {
    Output::text("a dot")
        .and_image("image/png", [1, 2, 3])
        .and_link("More", "https://example.com")
}

#[test]
fn a_text_nothing_and_explicit_content_have_no_output_schema() {
    assert_eq!(
        call::<text>(&json!({})).unwrap().content,
        [Content::Text("hello".into())]
    );
    assert_eq!(call::<nothing>(&json!({})).unwrap().content, []);
    assert_eq!(
        call::<fallible>(&json!({ "fails": false }))
            .unwrap()
            .content,
        []
    );
    assert_eq!(
        call::<fallible>(&json!({ "fails": true })),
        Err(ToolError::RateLimited(Some(7)))
    );
    assert_eq!(call::<explicit>(&json!({})).unwrap().content.len(), 3);
    for schema in [
        output_schema::<text>(),
        output_schema::<nothing>(),
        output_schema::<fallible>(),
        output_schema::<explicit>(),
    ] {
        assert_eq!(schema, None);
    }
}

/// Counts.
#[tool]
fn list(#[param(range = ..=9)] up_to: u8) -> Vec<u8> {
    (0..up_to).collect()
}

/// Finds one, perhaps.
#[tool]
fn option(there: bool) -> Option<Found> {
    there.then(|| Found {
        query: "q".into(),
        topic: None,
        order: Order::Oldest,
    })
}

#[test]
fn a_result_that_is_no_object_is_wrapped_in_the_schema_and_in_the_answer() {
    assert_eq!(
        structured::<list>(&json!({ "up_to": 3 })),
        json!({ "result": [0, 1, 2] })
    );
    assert_eq!(
        output_schema::<list>(),
        Some(json!({
            "type": "object",
            "properties": { "result": { "type": "array", "items": { "type": "integer", "minimum": 0 } } },
            "required": ["result"],
            "additionalProperties": false,
        }))
    );
    assert_eq!(
        structured::<option>(&json!({ "there": true })),
        json!({ "result": { "query": "q", "order": "oldest" } })
    );
    assert_eq!(structured::<option>(&json!({ "there": false })), json!({}));
    assert_eq!(output_schema::<option>().unwrap().get("required"), None);
}

/// Tells where it is called from. The name of the parameter is the function's, which must not matter.
#[tool]
fn place(context: &Context, place: String) -> String {
    format!(
        "{place} {} {} {}",
        context.thread, context.profile, context.deadline
    )
}

/// Tells for whom it is called.
#[tool]
fn profile(context: Context) -> String {
    context.profile
}

#[test]
fn the_context_is_given_by_the_host_and_not_by_the_agent() {
    let content = call::<place>(&json!({ "place": "here" })).unwrap().content;
    assert_eq!(content, [Content::Text("here t-1 work 1000".into())]);
    assert_eq!(
        call::<profile>(&json!({})).unwrap().content,
        [Content::Text("work".into())]
    );
    assert_eq!(
        input_schema(&place::definition())["required"],
        json!(["place"])
    );
    assert_eq!(
        input_schema(&profile::definition())["properties"],
        json!({})
    );
}

mod elsewhere {
    use holster_sdk::tool;

    #[derive(Debug)]
    pub(super) struct Broken;

    impl From<Broken> for holster_sdk::ToolError {
        fn from(_: Broken) -> Self {
            Self::Failed("broken".into())
        }
    }

    /// Breaks, with an error of its own.
    #[tool]
    pub(super) fn breaks() -> Result<String, Broken> {
        Err(Broken)
    }
}

#[test]
fn an_error_of_the_authors_own_becomes_a_tool_error() {
    assert_eq!(
        call::<elsewhere::breaks>(&json!({})),
        Err(ToolError::Failed("broken".into()))
    );
}

/// Some of its values are objects.
#[derive(Serialize, JsonSchema)]
#[allow(dead_code)]
enum Mixed {
    Nothing,
    Something { value: u32 },
}

/// Returns what has no fixed shape.
#[tool]
fn mixed() -> Mixed {
    Mixed::Nothing
}

#[test]
#[should_panic(
    expected = "may be an object or not, which makes it no result of a tool; return a struct"
)]
fn a_result_that_is_sometimes_an_object_is_refused_when_the_tool_is_described() {
    mixed::definition();
}

// Off the target this declares no symbols, but it has to compile.
holster_sdk::export!(search, text, elsewhere::breaks);
