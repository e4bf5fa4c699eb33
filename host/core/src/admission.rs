//! JSON against JSON Schema: what goes into a tool and what comes out of it.

use std::sync::OnceLock;

use serde_json::Value;

/// How many violations an error lists.
const LISTED: usize = 5;
/// The longest text of one violation.
const LENGTH: usize = 300;

/// A schema's validator, compiled when it is first needed: most of the tools of a large directory are never called.
#[derive(Default)]
pub(crate) struct Validator(OnceLock<Option<jsonschema::Validator>>);

impl Validator {
    /// What is wrong with `value`: where, and what would be right. Empty if nothing is. `schema` is the same every
    /// time, and was checked to be one when its component was loaded.
    pub(crate) fn violations(&self, schema: &Value, value: &Value) -> Vec<String> {
        let compile = || jsonschema::draft202012::new(schema).ok();
        let Some(validator) = self.0.get_or_init(compile) else {
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
        let schema = json!({
            "type": "object",
            "properties": { "channel": { "type": "string" }, "limit": { "type": "integer", "maximum": 100 } },
            "required": ["channel"],
            "additionalProperties": false,
        });
        let validator = Validator::default();
        assert_eq!(
            validator.violations(&schema, &json!({ "channel": "x", "limit": 5 })),
            Vec::<String>::new()
        );
        let violations = validator
            .violations(&schema, &json!({ "limit": 500, "extra": 1 }))
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
