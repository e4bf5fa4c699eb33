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
/// How long it may take to say what is wrong: to see that something is takes no memory, to say it takes as much as there are
/// ways to be wrong.
const TO_TELL: Duration = Duration::from_millis(100);

const NO_SCHEMA: &str = "the schema itself is not valid";
const NOT_TOLD: &str = "to say where takes too long; the schema is too intricate";

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
            let violations = validator.check_at_length(&schema, &lent);
            (lent, violations)
        };
        let violations;
        (*value, violations) = in_background(check).await;
        violations
    }

    fn check(&self, schema: &Value, value: &Value) -> Vec<String> {
        match self.compiled(schema) {
            Some(validator) if validator.is_valid(value) => Vec::new(),
            Some(validator) => described(validator, value),
            None => vec![NO_SCHEMA.to_owned()],
        }
    }

    fn check_at_length(&self, schema: &Value, value: &Value) -> Vec<String> {
        let valid = || {
            self.compiled(schema)
                .map(|validator| (validator, validator.is_valid(value)))
        };
        match schema::within(AT_LENGTH, valid) {
            Ok(Some((_, true))) => Vec::new(),
            Ok(Some((validator, false))) => schema::within(TO_TELL, || described(validator, value))
                .unwrap_or_else(|_| vec![NOT_TOLD.to_owned()]),
            Ok(None) => vec![NO_SCHEMA.to_owned()],
            Err(_) => {
                let most = AT_LENGTH.as_secs();
                vec![format!(
                    "to check that takes longer than {most} s; the schema is too intricate"
                )]
            }
        }
    }

    fn compiled(&self, schema: &Value) -> Option<&jsonschema::Validator> {
        let validator = self.0.get_or_init(|| schema::compile(schema).ok());
        validator.as_ref()
    }
}

/// The first violations of a value that has some.
fn described(validator: &jsonschema::Validator, value: &Value) -> Vec<String> {
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
    let errors = validator.iter_errors(value);
    errors.take(LISTED).map(describe).collect()
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
