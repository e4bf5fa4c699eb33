//! The tools that the official conformance suite of MCP calls, by the names and with the answers that it asks for.

#![forbid(unsafe_code)]

use std::thread::sleep;
use std::time::Duration;

use holster_sdk::output::Output;
use holster_sdk::session::{Answer, Level};
use holster_sdk::{Behaviour, Context, Tool, ToolDefinition, ToolError, tool};
use serde_json::{Value, json};

const PAUSE: Duration = Duration::from_millis(50);

/// One red pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 12, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0xc9, 0xfe, 0x92, 0xef, 0, 0, 0, 0, b'I',
    b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// A sound of no length.
const WAV: &[u8] = &[
    b'R', b'I', b'F', b'F', 36, 0, 0, 0, b'W', b'A', b'V', b'E', b'f', b'm', b't', b' ', 16, 0, 0,
    0, 1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0, b'd', b'a', b't', b'a', 0, 0, 0,
    0,
];

/// Answers with a text.
#[tool]
fn test_simple_text() -> String {
    "This is a simple text response for testing.".to_owned()
}

/// Answers with a picture.
#[tool]
fn test_image_content() -> Output {
    Output::default().and_image("image/png", PNG)
}

/// Answers with a sound.
#[tool]
fn test_audio_content() -> Output {
    Output::default().and_audio("audio/wav", WAV)
}

/// Answers with a resource.
#[tool]
fn test_embedded_resource() -> Output {
    let text = "This is an embedded resource content.";
    Output::default().and_resource("test://embedded-resource", "text/plain", text)
}

/// Answers with a text, a picture and a resource.
#[tool]
fn test_multiple_content_types() -> Output {
    let resource = json!({ "test": "data", "value": 123 }).to_string();
    Output::text("Multiple content types test:")
        .and_image("image/png", PNG)
        .and_resource(
            "test://mixed-content-resource",
            "application/json",
            resource,
        )
}

/// Writes three messages.
#[tool]
fn test_tool_with_logging(context: &Context) -> String {
    context.log(Level::Info, "Tool execution started");
    sleep(PAUSE);
    context.log(Level::Info, "Tool processing data");
    sleep(PAUSE);
    context.log(Level::Info, "Tool execution completed");
    "Three messages were written.".to_owned()
}

/// Reports how far it is, three times.
#[tool]
fn test_tool_with_progress(context: &Context) -> String {
    context.progress(0.0, 100.0);
    sleep(PAUSE);
    context.progress(50.0, 100.0);
    sleep(PAUSE);
    context.progress(100.0, 100.0);
    "Three reports were made.".to_owned()
}

/// Fails.
#[tool]
fn test_error_handling() -> Result<String, ToolError> {
    let message = "This tool intentionally returns an error for testing";
    Err(ToolError::Failed(message.to_owned()))
}

fn asked(context: &Context, message: &str, schema: &Value) -> Result<String, ToolError> {
    let (action, content) = match context.ask_form(message, &schema.to_string())? {
        Answer::Accept(content) => ("accept", content),
        Answer::Decline => ("decline", "{}".to_owned()),
        Answer::Cancel => ("cancel", "{}".to_owned()),
    };
    Ok(format!("action={action}, content={content}"))
}

/// Asks for a name and an address.
#[tool]
fn test_elicitation(
    /// What the person is told.
    message: String,
    context: &Context,
) -> Result<String, ToolError> {
    let schema = json!({
        "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        },
        "required": ["username", "email"],
    });
    Ok(format!(
        "User response: {}",
        asked(context, &message, &schema)?
    ))
}

/// Asks for a value of every type, each with a default.
#[tool]
fn test_elicitation_sep1034_defaults(context: &Context) -> Result<String, ToolError> {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "A name", "default": "John Doe" },
            "age": { "type": "integer", "description": "An age", "default": 30 },
            "score": { "type": "number", "description": "A score", "default": 95.5 },
            "status": {
                "type": "string", "description": "A status",
                "enum": ["active", "inactive", "pending"], "default": "active",
            },
            "verified": { "type": "boolean", "description": "Whether it is so", "default": true },
        },
        "required": [],
    });
    let answer = asked(context, "Please look at the values", &schema)?;
    Ok(format!("Elicitation completed: {answer}"))
}

/// Asks for a choice, in every way that there is.
#[tool]
fn test_elicitation_sep1330_enums(context: &Context) -> Result<String, ToolError> {
    let options = json!(["option1", "option2", "option3"]);
    let titled = |word: &str| {
        json!([
            { "const": "value1", "title": format!("First {word}") },
            { "const": "value2", "title": format!("Second {word}") },
            { "const": "value3", "title": format!("Third {word}") },
        ])
    };
    let schema = json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": options },
            "titledSingle": { "type": "string", "oneOf": titled("Option") },
            "legacyEnum": {
                "type": "string", "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
        },
        "required": [],
    });
    let answer = asked(context, "Please choose", &schema)?;
    Ok(format!("Elicitation completed: {answer}"))
}

/// A tool whose schema no derive would write.
enum JsonSchema {}

impl Tool for JsonSchema {
    const NAME: &'static str = "json_schema_2020_12_tool";

    fn definition() -> ToolDefinition {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
                },
            },
            "properties": { "name": { "type": "string" }, "address": { "$ref": "#/$defs/address" } },
            "additionalProperties": false,
        });
        ToolDefinition {
            name: Self::NAME.to_owned(),
            title: None,
            description: "Tool with JSON Schema 2020-12 features".to_owned(),
            input_schema: schema.to_string(),
            output_schema: None,
            requirements: Vec::new(),
            behaviour: Behaviour {
                read_only: None,
                destructive: None,
                idempotent: None,
                open_world: None,
            },
        }
    }

    fn call(arguments: &str, _: &Context) -> Result<Output, ToolError> {
        Ok(Output::text(arguments))
    }
}

holster_sdk::export!(
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_tool_with_logging,
    test_tool_with_progress,
    test_error_handling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    JsonSchema,
);
