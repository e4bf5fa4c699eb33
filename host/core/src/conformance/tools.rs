//! What can be better about tools that are valid: descriptions, schemas, requirements.

use holster_runtime::ToolDefinition;
use holster_types::ProviderId;
use serde_json::Value;

use super::{Finding, Place, Rule, Severity, refusal};

/// Fewer characters do not tell a model what a tool does.
const SHORT: usize = 10;

/// What is wrong with a tool. `unknown` says why a provider is not known, if it is not.
pub(super) fn findings(
    tool: &ToolDefinition,
    unknown: &dyn Fn(&ProviderId) -> Option<String>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(description(tool));
    undescribed(
        &tool.input_schema,
        &tool.input_schema,
        "",
        &mut |parameter| {
            found.push(undescribed_parameter(tool, parameter));
        },
    );
    found.extend(open_schema(tool, "input schema", &tool.input_schema));
    if let Some(schema) = &tool.output_schema {
        found.extend(open_schema(tool, "output schema", schema));
    }
    found.extend(requirements(tool, unknown));
    found
}

/// What is not the same in two answers of `list-tools`.
pub(super) fn changed(first: &[ToolDefinition], second: &[ToolDefinition]) -> Vec<Finding> {
    let names = |tools: &[ToolDefinition]| -> Vec<_> {
        tools.iter().map(|tool| tool.name.clone()).collect()
    };
    if names(first) != names(second) {
        let message = "the second answer lists other tools, or the same in another order";
        return vec![refusal::unlike(Place::ListTools, message)];
    }
    let pairs = first.iter().zip(second);
    pairs
        .filter(|(first, second)| first != second)
        .map(|(first, second)| {
            let message = format!(
                "the {} is not the same when the tools are listed again",
                difference(first, second)
            );
            refusal::unlike(Place::Tool(first.name.clone()), &message)
        })
        .collect()
}

fn difference(first: &ToolDefinition, second: &ToolDefinition) -> &'static str {
    if first.description != second.description {
        "description"
    } else if first.input_schema != second.input_schema {
        "input schema"
    } else if first.output_schema != second.output_schema {
        "output schema"
    } else if first.requirements != second.requirements {
        "list of requirements"
    } else {
        "title or behaviour"
    }
}

fn description(tool: &ToolDefinition) -> Option<Finding> {
    let said = tool.description.trim();
    (said.chars().count() < SHORT).then(|| Finding {
        rule: Rule::Descriptions,
        severity: Severity::Warning,
        place: Place::Tool(tool.name.clone()),
        message: format!("the description, `{said}`, hardly tells a model when to use the tool"),
        remedy: "say in a sentence what the tool does, in the function's documentation".to_owned(),
    })
}

/// Tells every parameter of `schema` that says nothing, also within objects and lists. Follows no `$ref` further
/// than its description.
fn undescribed(whole: &Value, schema: &Value, path: &str, tell: &mut dyn FnMut(&str)) {
    if let Some(Value::Object(properties)) = schema.get("properties") {
        for (name, property) in properties {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            if !is_described(property) && !referred(whole, property).is_some_and(is_described) {
                tell(&path);
            }
            undescribed(whole, property, &path, tell);
        }
    }
    if let Some(items) = schema.get("items") {
        undescribed(whole, items, &format!("{path}[]"), tell);
    }
}

fn is_described(schema: &Value) -> bool {
    let described = schema.get("description").and_then(Value::as_str);
    described.is_some_and(|text| !text.trim().is_empty())
}

fn referred<'a>(whole: &'a Value, schema: &Value) -> Option<&'a Value> {
    whole.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

fn undescribed_parameter(tool: &ToolDefinition, parameter: &str) -> Finding {
    Finding {
        rule: Rule::Descriptions,
        severity: Severity::Warning,
        place: Place::Part(
            tool.name.clone(),
            format!("parameter `{}`", parameter.escape_debug()),
        ),
        message: "it has no description, so that a model has to guess what belongs there"
            .to_owned(),
        remedy: "describe it where it is declared, or set `description` in its schema".to_owned(),
    }
}

fn open_schema(tool: &ToolDefinition, part: &'static str, schema: &Value) -> Option<Finding> {
    let closed = |keyword| schema.get(keyword) == Some(&Value::Bool(false));
    if closed("additionalProperties") || closed("unevaluatedProperties") {
        return None;
    }
    let (severity, message) = if part == "input schema" {
        (
            Severity::Warning,
            "it allows properties that it does not name: a misspelt argument passes unseen",
        )
    } else {
        (
            Severity::Note,
            "it allows properties that it does not name: what reads the answer cannot rely on its shape",
        )
    };
    Some(Finding {
        rule: Rule::Schemas,
        severity,
        place: Place::Part(tool.name.clone(), part.to_owned()),
        message: message.to_owned(),
        remedy: "set `\"additionalProperties\": false`".to_owned(),
    })
}

fn requirements(
    tool: &ToolDefinition,
    unknown: &dyn Fn(&ProviderId) -> Option<String>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for requirement in &tool.requirements {
        let provider = &requirement.provider;
        let place = || Place::Part(tool.name.clone(), format!("requirement `{provider}`"));
        if let Some(reason) = unknown(provider) {
            found.push(Finding {
                rule: Rule::Requirements,
                severity: Severity::Error,
                place: place(),
                message: reason,
                remedy: "use an id that `holster providers` lists, or add the provider's file to the configuration \
                         that the component is checked with"
                    .to_owned(),
            });
        }
        for scope in requirement.scopes.iter() {
            // RFC 6749 §3.3: a space separates scopes, and is never in one.
            if scope.contains(char::is_whitespace) {
                found.push(Finding {
                    rule: Rule::Requirements,
                    severity: Severity::Warning,
                    place: place(),
                    message: format!("the scope `{}` holds a space", scope.escape_debug()),
                    remedy: "list each scope on its own".to_owned(),
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use holster_runtime::Behaviour;
    use holster_types::{Requirement, ToolName};
    use serde_json::json;

    use super::*;

    fn tool(description: &str, input_schema: Value) -> ToolDefinition {
        ToolDefinition {
            name: ToolName::new("search").unwrap(),
            title: None,
            description: description.to_owned(),
            input_schema,
            output_schema: None,
            requirements: Vec::new(),
            behaviour: Behaviour::default(),
        }
    }

    fn closed() -> Value {
        json!({ "type": "object", "properties": {}, "additionalProperties": false })
    }

    fn found(tool: &ToolDefinition) -> Vec<(Severity, Rule, String)> {
        let unknown = |id: &ProviderId| (id.as_str() != "slack").then(|| format!("no {id}"));
        let short = |found: Finding| (found.severity, found.rule, found.place.to_string());
        findings(tool, &unknown).into_iter().map(short).collect()
    }

    #[test]
    fn a_tool_that_says_all_is_without_findings() {
        let mut tool = tool("Finds messages.", closed());
        tool.output_schema = Some(closed());
        tool.requirements = vec![Requirement {
            provider: ProviderId::new("slack").unwrap(),
            scopes: ["search:read"].into_iter().collect(),
        }];
        assert_eq!(found(&tool), []);
    }

    #[test]
    fn a_description_that_says_little_and_parameters_that_say_nothing_are_told() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "said": { "type": "string", "description": "What is said." },
                "blank": { "type": "string", "description": " " },
                "referred": { "$ref": "#/$defs/described" },
                "list": {
                    "type": "array",
                    "description": "A list.",
                    "items": { "type": "object", "properties": { "inner": { "type": "string" } } },
                },
            },
            "$defs": { "described": { "type": "string", "description": "Told elsewhere." } },
        });
        let warning = |place: &str| (Severity::Warning, Rule::Descriptions, place.to_owned());
        assert_eq!(
            found(&tool("Search. ", schema)),
            [
                warning("tool `search`"),
                warning("tool `search`, parameter `blank`"),
                warning("tool `search`, parameter `list[].inner`"),
            ]
        );
    }

    #[test]
    fn an_open_input_is_a_warning_and_an_open_output_a_note() {
        let mut tool = tool("Finds messages.", json!({ "type": "object" }));
        tool.output_schema = Some(json!({ "type": "object" }));
        let place = |part| format!("tool `search`, {part} schema");
        assert_eq!(
            found(&tool),
            [
                (Severity::Warning, Rule::Schemas, place("input")),
                (Severity::Note, Rule::Schemas, place("output")),
            ]
        );
    }

    #[test]
    fn an_unknown_provider_is_an_error_and_a_scope_of_two_a_warning() {
        let mut tool = tool("Finds messages.", closed());
        tool.requirements = vec![Requirement {
            provider: ProviderId::new("slac").unwrap(),
            scopes: ["read write"].into_iter().collect(),
        }];
        let place = || "tool `search`, requirement `slac`".to_owned();
        assert_eq!(
            found(&tool),
            [
                (Severity::Error, Rule::Requirements, place()),
                (Severity::Warning, Rule::Requirements, place()),
            ]
        );
    }

    #[test]
    fn a_list_that_changes_is_told_by_tool_and_part() {
        let first = [tool("At noon.", closed())];
        assert_eq!(changed(&first, &first.clone()), []);
        let found = changed(&first, &[tool("At one.", closed())]);
        assert_eq!(found[0].place.to_string(), "tool `search`");
        assert!(found[0].message.starts_with("the description "));
        assert_eq!(changed(&first, &[])[0].place, Place::ListTools);
    }
}
