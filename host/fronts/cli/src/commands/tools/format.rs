//! Tools as the APIs of models want them: what each takes as its parameter `tools`.
//!
//! Schemas go out as the tool's author wrote them, so a model sees the same that an MCP client sees. Gemini's own schema
//! dialect lacks keywords of JSON Schema, but its API also takes JSON Schema as such, under another name.

use holster_core::ToolDefinition;
use serde_json::{Value, json};

/// The API of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// OpenAI's Responses
    Openai,
    /// OpenAI's Chat Completions, and the many APIs that follow them
    OpenaiChat,
    /// Anthropic's Messages
    Anthropic,
    /// Gemini's generateContent
    Gemini,
}

impl Format {
    /// The value of the API's parameter `tools`.
    pub(super) fn tools<'a>(self, tools: impl Iterator<Item = &'a ToolDefinition>) -> Value {
        let tools: Value = tools.map(|tool| self.tool(tool)).collect();
        match self {
            Self::Openai | Self::OpenaiChat | Self::Anthropic => tools,
            Self::Gemini => json!([{ "functionDeclarations": tools }]),
        }
    }

    fn tool(self, tool: &ToolDefinition) -> Value {
        let ToolDefinition {
            name,
            description,
            input_schema: schema,
            ..
        } = tool;
        match self {
            // Strict mode makes every argument required; these schemas say themselves which ones are.
            Self::Openai => json!({
                "type": "function",
                "name": name,
                "description": description,
                "parameters": schema,
                "strict": false,
            }),
            Self::OpenaiChat => json!({
                "type": "function",
                "function": { "name": name, "description": description, "parameters": schema, "strict": false },
            }),
            Self::Anthropic => json!({
                "name": name,
                "description": description,
                "input_schema": schema,
            }),
            Self::Gemini => json!({
                "name": name,
                "description": description,
                "parametersJsonSchema": schema,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_gets_name_description_and_schema_where_it_looks_for_them() {
        let schema =
            json!({ "type": "object", "properties": { "text": { "type": ["string", "null"] } } });
        let tool: ToolDefinition = serde_json::from_value(json!({
            "name": "greet", "title": "Greeter", "description": "Greets.", "input_schema": schema,
            "output_schema": { "type": "object" },
        }))
        .unwrap();
        let (name, description) = ("greet", "Greets.");
        for (format, expected) in [
            (
                Format::Openai,
                json!([{
                    "type": "function", "name": name, "description": description, "parameters": schema, "strict": false,
                }]),
            ),
            (
                Format::OpenaiChat,
                json!([{
                    "type": "function",
                    "function": { "name": name, "description": description, "parameters": schema, "strict": false },
                }]),
            ),
            (
                Format::Anthropic,
                json!([{ "name": name, "description": description, "input_schema": schema }]),
            ),
            (
                Format::Gemini,
                json!([{ "functionDeclarations": [
                    { "name": name, "description": description, "parametersJsonSchema": schema },
                ] }]),
            ),
        ] {
            assert_eq!(format.tools([&tool].into_iter()), expected, "{format:?}");
        }
    }
}
