//! JSON against JSON Schema: what goes into a tool and what comes out of it.
//!
//! The schema is the tool author's, and the answer is the guest's: a check can take as long as they like. One that is not
//! over at once goes on away from the threads that serve calls, and one that takes too long there is a violation.

use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use holster_runtime::{in_background, schema};
use serde_json::Value;

/// How many violations an error lists.
const LISTED: usize = 5;
/// The longest text of one violation.
const LENGTH: usize = 300;

/// How long a check may keep a thread that serves calls.
const AT_ONCE: Duration = Duration::from_millis(1);
/// How many bytes a value may take that is checked there at all: a keyword that compares items ends only once it has seen
/// them all.
const LIGHT: usize = 64 << 10;
/// How long a check may take at all.
const AT_LENGTH: Duration = Duration::from_secs(1);

/// A schema's validator, compiled when it is first needed: most of the tools of a large directory are never called.
#[derive(Clone, Default)]
pub(crate) struct Validator(Arc<OnceLock<Option<jsonschema::Validator>>>);

impl Validator {
    /// What is wrong with `value`: where, and what would be right. Empty if nothing is. `schema` is the same every
    /// time, and was checked to be one when its component was loaded. A value that takes long to check is elsewhere meanwhile.
    pub(crate) async fn violations(&self, schema: &Value, value: &mut Value) -> Vec<String> {
        if room_beside(value, LIGHT).is_some()
            && let Ok(violations) = schema::within(AT_ONCE, || self.check(schema, value))
        {
            return violations;
        }
        let (validator, schema, lent) = (self.clone(), schema.clone(), mem::take(value));
        let check = move || {
            let checked = schema::within(AT_LENGTH, || validator.check(&schema, &lent));
            (lent, checked)
        };
        let checked;
        (*value, checked) = in_background(check).await;
        checked.unwrap_or_else(|_| {
            let most = AT_LENGTH.as_secs();
            vec![format!(
                "to check that takes longer than {most} s; the schema is too intricate"
            )]
        })
    }

    fn check(&self, schema: &Value, value: &Value) -> Vec<String> {
        let Some(validator) = self.0.get_or_init(|| schema::compile(schema).ok()) else {
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

/// How many of so many bytes a value leaves. `None` once it is clear that it takes more; the rest of it is not looked at.
fn room_beside(value: &Value, bytes: usize) -> Option<usize> {
    let left = bytes.checked_sub(size_of::<Value>())?;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(left),
        Value::String(text) => left.checked_sub(text.len()),
        Value::Array(items) => items
            .iter()
            .try_fold(left, |left, item| room_beside(item, left)),
        Value::Object(members) => members.iter().try_fold(left, |left, (name, member)| {
            room_beside(member, left.checked_sub(name.len())?)
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is wrong with a value, which is what it was afterwards.
    async fn of(validator: &Validator, schema: &Value, mut value: Value) -> Vec<String> {
        let before = value.clone();
        let violations = validator.violations(schema, &mut value).await;
        assert_eq!(value, before);
        violations
    }

    #[tokio::test]
    async fn a_violation_says_where_and_what() {
        let schema = json!({
            "type": "object",
            "properties": { "channel": { "type": "string" }, "limit": { "type": "integer", "maximum": 100 } },
            "required": ["channel"],
            "additionalProperties": false,
        });
        let validator = Validator::default();
        let fits = json!({ "channel": "x", "limit": 5 });
        assert_eq!(of(&validator, &schema, fits).await, Vec::<String>::new());
        let misfits = json!({ "limit": 500, "extra": 1 });
        let violations = of(&validator, &schema, misfits).await.join("\n");
        for part in [
            "at `/limit`",
            "100",
            "\"channel\" is a required property",
            "extra",
        ] {
            assert!(violations.contains(part), "{part}: {violations}");
        }
    }
    /// Each level is looked at twice for each time that the one above it is.
    fn doubling(levels: usize) -> (Value, Value) {
        let branch =
            |missing| json!({ "properties": { "a": { "$ref": "#" } }, "required": [missing] });
        let schema = json!({ "type": "object", "anyOf": [branch("b"), branch("c")] });
        let deep = (0..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
        (schema, deep)
    }

    #[tokio::test]
    async fn a_check_that_takes_long_goes_on_elsewhere_and_one_that_has_no_end_is_a_violation() {
        let (schema, deep) = doubling(10);
        let violations = of(&Validator::default(), &schema, deep).await;
        assert!(violations[0].contains("anyOf"), "{violations:?}");
        let (schema, deep) = doubling(60);
        let validator = Validator::default();
        for _ in 0..2 {
            let violations = of(&validator, &schema, deep.clone()).await;
            assert!(violations[0].contains("too intricate"), "{violations:?}");
        }
        // The validator is still good for others.
        let violations = of(&validator, &schema, json!({ "b": 1 })).await;
        assert_eq!(violations, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_large_value_is_checked_elsewhere_and_is_there_afterwards() {
        let validator = Validator::default();
        let schema = json!({ "type": "object", "properties": { "a": { "uniqueItems": true } } });
        let different: Vec<usize> = (0..LIGHT).collect();
        let violations = of(&validator, &schema, json!({ "a": different })).await;
        assert_eq!(violations, Vec::<String>::new());
        let violations = of(&validator, &schema, json!({ "a": vec![1; LIGHT] })).await;
        assert!(violations[0].starts_with("at `/a`"), "{violations:?}");
    }

    #[test]
    fn a_value_takes_what_its_parts_take() {
        let one = size_of::<Value>();
        for (value, bytes) in [
            (json!(1), one),
            (json!("ninebytes"), one + 9),
            (json!([1, "a", []]), 4 * one + 1),
            (json!({ "name": "a", "of": [null] }), 4 * one + 7),
        ] {
            assert_eq!(room_beside(&value, bytes + 5), Some(5), "{value}");
            assert_eq!(room_beside(&value, bytes - 1), None, "{value}");
        }
    }
}
