//! JSON Schemas of tools, with an end to what they take.
//!
//! A schema whose parts refer to each other can make its own compilation, and every check, exponentially long, and the
//! validator knows no limit. So a keyword of our own is put into all parts of a schema: every value satisfies it, but where
//! it is met too often, or too late, it unwinds what was going on, which is the only way out of it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use jsonschema::{Keyword, ValidationError, Validator};
use serde_json::{Map, Value};

/// The keyword of our own. An author who writes it too has it met once more.
const KEYWORD: &str = "holster:end";

/// The most parts that a schema may have, those that it refers to counted each time: more than are written in 64 KiB.
const PARTS: u32 = 20_000;

/// So many parts come between two looks at the clock.
const STRIDE: u32 = 16;

thread_local! {
    /// When that which runs in this thread has to be over.
    static END: Cell<Option<Instant>> = const { Cell::new(None) };
    /// How many parts were compiled, or checked.
    static COUNT: Cell<u32> = const { Cell::new(0) };
}

/// What a schema asks for takes too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooIntricate;

/// Does what has to do with schemas, and may take this long: compiles them, or checks values.
pub fn within<T>(time: Duration, work: impl FnOnce() -> T) -> Result<T, TooIntricate> {
    END.set(Some(Instant::now() + time));
    let done = catch_unwind(AssertUnwindSafe(work));
    END.set(None);
    done.map_err(|panic| match panic.downcast() {
        Ok(intricate) => *intricate,
        Err(other) => resume_unwind(other),
    })
}

/// A validator whose checks end with the time that they are [`within`]. To be called within some time itself.
pub fn compile(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    COUNT.set(0);
    jsonschema::draft202012::options()
        .with_keyword(KEYWORD, |_, _, _| {
            Patience::compiled();
            Ok(Box::new(Patience))
        })
        .build(&with_keyword(schema))
}

/// The schema, with the keyword in every schema that is in it.
fn with_keyword(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let member =
                |(keyword, value): (&String, &Value)| (keyword.clone(), part(keyword, value));
            let mut members: Map<_, _> = members.iter().map(member).collect();
            members.insert(KEYWORD.to_owned(), Value::Bool(true));
            Value::Object(members)
        }
        Value::Array(items) => items.iter().map(with_keyword).collect(),
        other => other.clone(),
    }
}

/// What stands at a keyword.
fn part(keyword: &str, value: &Value) -> Value {
    match (keyword, value) {
        // These hold values, not schemas.
        ("const" | "enum" | "default" | "examples" | "dependentRequired" | "$vocabulary", _) => {
            value.clone()
        }
        // These hold schemas by name.
        (
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
            | "dependencies",
            Value::Object(schemas),
        ) => schemas
            .iter()
            .map(|(name, schema)| (name.clone(), with_keyword(schema)))
            .collect(),
        _ => with_keyword(value),
    }
}

/// The keyword: every value satisfies it.
struct Patience;

impl Patience {
    /// A part was compiled.
    fn compiled() {
        Self::checked();
        if COUNT.get() > PARTS {
            Self::end();
        }
    }

    /// A part was checked.
    fn checked() {
        let count = COUNT.get().wrapping_add(1);
        COUNT.set(count);
        if count.is_multiple_of(STRIDE) && END.get().is_some_and(|end| end <= Instant::now()) {
            Self::end();
        }
    }

    fn end() {
        // Unlike a panic, this is not reported.
        resume_unwind(Box::new(TooIntricate));
    }
}

impl<'i> Keyword<'i> for Patience {
    fn validate(&self, _: &'i Value) -> Result<(), ValidationError<'i>> {
        Self::checked();
        Ok(())
    }

    fn is_valid(&self, _: &'i Value) -> bool {
        Self::checked();
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_keyword_changes_nothing_about_what_a_schema_says() {
        let schema = json!({
            "type": "object",
            "properties": {
                "const": { "const": { "a": 1 } },
                "enum": { "enum": [{ "a": 1 }, [{}]] },
                "list": { "type": "array", "items": { "$ref": "#/$defs/word" } },
            },
            "dependentRequired": { "list": ["enum"] },
            "$defs": { "word": { "type": "string" } },
            "unevaluatedProperties": false,
        });
        let plain = jsonschema::draft202012::new(&schema).unwrap();
        let compiled = compile(&schema).unwrap();
        for value in [
            json!({}),
            json!({ "const": { "a": 1 } }),
            json!({ "const": { "a": 1, KEYWORD: true } }),
            json!({ "enum": { "a": 1 } }),
            json!({ "enum": { "a": 1, KEYWORD: true } }),
            json!({ "enum": [{}] }),
            json!({ "enum": [{}], "list": ["a"] }),
            json!({ "enum": [{}], "list": [1] }),
            json!({ "list": [] }),
            json!({ KEYWORD: true }),
            json!([]),
        ] {
            assert_eq!(compiled.is_valid(&value), plain.is_valid(&value), "{value}");
        }
    }

    /// Each part refers to the next one twice.
    fn doubling(levels: u32, more: &Value) -> Value {
        let reference = |level: u32| json!({ "$ref": format!("#/$defs/{level}") });
        let part = |level: u32| {
            let next = reference(level + 1);
            (level.to_string(), json!({ "allOf": [next, next] }))
        };
        let mut parts: Map<_, _> = (0..levels).map(part).collect();
        parts.insert(levels.to_string(), more.clone());
        json!({ "type": "object", "$ref": "#/$defs/0", "$defs": parts })
    }

    #[test]
    fn what_doubles_with_every_part_comes_to_an_end() {
        let end = Duration::from_millis(50);
        let value = json!({ "a": 1 });
        let small = compile(&doubling(3, &json!({}))).unwrap();
        assert_eq!(within(end, || small.is_valid(&value)), Ok(true));

        let mut rest = doubling(40, &json!({}));
        rest["unevaluatedProperties"] = json!(false);
        assert!(within(end, || compile(&rest).is_ok()).is_err());

        let large = compile(&doubling(40, &json!({}))).unwrap();
        assert_eq!(within(end, || large.is_valid(&value)), Err(TooIntricate));
    }

    #[test]
    fn a_panic_of_another_kind_goes_on() {
        let panicked = catch_unwind(|| within(Duration::from_secs(1), || panic!("another")));
        assert!(panicked.is_err());
    }
}
