//! JSON against JSON Schema: what goes into a tool and what comes out of it.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

/// How many violations an error lists.
const LISTED: usize = 5;
/// The longest text of one violation.
const LENGTH: usize = 300;

/// A schema, compiled when it is first needed: most of the tools of a large directory are never called.
pub(crate) struct Schema {
    text: Value,
    validator: OnceLock<Option<Validator>>,
}

impl Schema {
    /// `text` was checked to be a schema when its component was loaded.
    pub(crate) fn new(text: Value) -> Self {
        Self {
            text,
            validator: OnceLock::new(),
        }
    }

    /// What is wrong with `value`: where, and what would be right. Empty if nothing is.
    pub(crate) fn violations(&self, value: &Value) -> Vec<String> {
        let Some(validator) = self
            .validator
            .get_or_init(|| jsonschema::draft202012::new(&self.text).ok())
        else {
            return vec!["the schema itself is not valid".to_owned()];
        };
        if validator.is_valid(value) {
            return Vec::new();
        }
        let describe = |error: jsonschema::ValidationError<'_>| {
            let place = error.instance_path().to_string();
            // Values are masked: an argument may be long, and an answer is not ours to repeat.
            let text: String = error.masked().to_string().chars().take(LENGTH).collect();
            if place.is_empty() {
                text
            } else {
                format!("at `{place}`: {text}")
            }
        };
        validator
            .iter_errors(value)
            .take(LISTED)
            .map(describe)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_violation_says_where_and_what() {
        let schema = Schema::new(json!({
            "type": "object",
            "properties": { "channel": { "type": "string" }, "limit": { "type": "integer", "maximum": 100 } },
            "required": ["channel"],
            "additionalProperties": false,
        }));
        assert_eq!(
            schema.violations(&json!({ "channel": "x", "limit": 5 })),
            Vec::<String>::new()
        );
        let violations = schema
            .violations(&json!({ "limit": 500, "extra": 1 }))
            .join("\n");
        for part in [
            "at `/limit`",
            "100",
            "\"channel\" is a required property",
            "extra",
        ] {
            assert!(violations.contains(part), "{part}: {violations}");
        }
    }
}
