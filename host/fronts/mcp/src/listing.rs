//! The catalogue as `tools/list` shows it.
//!
//! Schemas and hints go out as the tool's author wrote them. Where the agent may choose the profile, each tool has one
//! argument more. A page holds at most [`PAGE`] tools; its cursor is the name of the last one, so that a list that
//! changes in between neither repeats a tool nor leaves out one that stays.

use std::sync::Arc;

use holster_core::types::ProfileName;
use holster_core::{Behaviour, ToolDefinition};
use rmcp::ErrorData;
use rmcp::model::{JsonObject, ListToolsResult, PaginatedRequestParams, Tool, ToolAnnotations};
use serde_json::{Value, json};

/// Tools of a page.
pub(crate) const PAGE: usize = 200;

/// The argument with which an agent chooses the profile.
pub(crate) const PROFILE_ARGUMENT: &str = "holster_profile";

/// One page of `tools`, which are sorted by name.
pub(crate) fn page(
    tools: &[Tool],
    asked: Option<PaginatedRequestParams>,
) -> Result<ListToolsResult, ErrorData> {
    let start = match asked.and_then(|asked| asked.cursor) {
        None => 0,
        Some(cursor) if cursor.is_empty() || cursor.len() > 64 => {
            let message = "the cursor is none that this server gave; list the tools from the start";
            return Err(ErrorData::invalid_params(message, None));
        }
        Some(cursor) => tools.partition_point(|tool| *tool.name <= *cursor),
    };
    let page: Vec<_> = tools[start..].iter().take(PAGE).cloned().collect();
    let more = start + page.len() < tools.len();
    let mut result = ListToolsResult::with_all_items(page);
    if more {
        result.next_cursor = result.tools.last().map(|last| last.name.to_string());
    }
    Ok(result)
}

/// A tool as the protocol has it.
pub(crate) fn tool(definition: &ToolDefinition, profiles: Option<&[ProfileName]>) -> Tool {
    let mut input = object(&definition.input_schema);
    if let Some(profiles) = profiles {
        add_choice(&mut input, profiles);
    }
    let mut tool = Tool::new(
        definition.name.to_string(),
        definition.description.clone(),
        Arc::new(input),
    );
    tool.title.clone_from(&definition.title);
    tool.output_schema = definition
        .output_schema
        .as_ref()
        .map(|schema| Arc::new(object(schema)));
    tool.annotations = annotations(definition);
    tool
}

fn object(schema: &Value) -> JsonObject {
    schema.as_object().cloned().unwrap_or_default()
}

/// The profiles as an optional argument; the tool itself never sees it.
fn add_choice(schema: &mut JsonObject, profiles: &[ProfileName]) {
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert(
            PROFILE_ARGUMENT.to_owned(),
            json!({
                "type": "string",
                "enum": profiles,
                "description": "Whose accounts serve this call. Leave it out for the usual ones."
            }),
        );
    }
}

fn annotations(definition: &ToolDefinition) -> Option<ToolAnnotations> {
    let Behaviour {
        read_only,
        destructive,
        idempotent,
        open_world,
    } = definition.behaviour;
    let said = ToolAnnotations::from_raw(None, read_only, destructive, idempotent, open_world);
    (said != ToolAnnotations::default()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(count: usize) -> Vec<Tool> {
        (0..count)
            .map(|number| Tool::new(format!("tool_{number:04}"), "", JsonObject::new()))
            .collect()
    }

    fn at(cursor: Option<&str>) -> PaginatedRequestParams {
        PaginatedRequestParams::default().with_cursor(cursor.map(str::to_owned))
    }

    #[test]
    fn pages_follow_one_another_without_gap_or_repetition() {
        let tools = tools(2 * PAGE + 1);
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = page(&tools, Some(at(cursor.as_deref()))).unwrap();
            assert!(page.tools.len() <= PAGE);
            seen.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, tools);
        assert!(page(&tools[..PAGE], None).unwrap().next_cursor.is_none());
    }

    #[test]
    fn a_cursor_outlives_the_tool_that_it_names() {
        let mut tools = tools(PAGE + 2);
        let cursor = page(&tools, None).unwrap().next_cursor.unwrap();
        tools.retain(|tool| *tool.name != *cursor);
        let rest = page(&tools, Some(at(Some(&cursor)))).unwrap();
        assert_eq!(rest.tools, tools[PAGE - 1..]);
    }

    #[test]
    fn a_cursor_of_nobody_is_refused() {
        let tools = tools(1);
        for cursor in [String::new(), "x".repeat(65)] {
            assert!(page(&tools, Some(at(Some(&cursor)))).is_err());
        }
    }
}
