//! The schema of a question: a form, flat, as MCP has it.
//!
//! Whatever a client need not understand is refused with the reason, so that a tool that can ask one client can ask all.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Number, Value};

/// Bytes of a schema.
const SCHEMA_BYTES: usize = 16 << 10;
/// Properties of a form.
const PROPERTIES: usize = 32;

/// Why a schema is no form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema is no form as MCP has it: {0}")]
pub(crate) struct NoForm(String);

/// The questions of a form, in the order in which the guest wrote them.
#[derive(Debug, Clone)]
pub struct Form {
    /// By name.
    pub properties: Vec<(String, Property)>,
    /// Those that have to be answered.
    pub required: BTreeSet<String>,
    /// The schema with nothing allowed beside it.
    closed: Value,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of JSON Schema")]
pub enum Kind {
    String,
    Number,
    Integer,
    Boolean,
    Array,
}

/// How a string is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are those of JSON Schema")]
pub enum Format {
    Email,
    Uri,
    Date,
    DateTime,
}

/// One value of a choice, and its name for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The value.
    #[serde(rename = "const")]
    pub value: String,
    /// Its name.
    pub title: String,
}

/// What several may be chosen of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Items {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    #[serde(rename = "enum")]
    names: Option<Vec<String>>,
    any_of: Option<Vec<Choice>>,
}

/// One question of a form. The keywords are those of MCP's schema.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Property {
    /// What the value is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// A name for people.
    pub title: Option<String>,
    /// What is asked.
    pub description: Option<String>,
    /// What a client shows at first.
    pub default: Option<Value>,
    /// How a string is read.
    pub format: Option<Format>,
    /// Characters of a string.
    pub min_length: Option<u32>,
    /// Characters of a string.
    pub max_length: Option<u32>,
    /// The smallest number.
    pub minimum: Option<Number>,
    /// The largest number.
    pub maximum: Option<Number>,
    /// Of a choice of several, the fewest.
    pub min_items: Option<u32>,
    /// Of a choice of several, the most.
    pub max_items: Option<u32>,
    #[serde(rename = "enum")]
    names: Option<Vec<String>>,
    enum_names: Option<Vec<String>>,
    one_of: Option<Vec<Choice>>,
    items: Option<Items>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "what is only for the client is read to be checked"
)]
struct Written {
    #[serde(rename = "$schema")]
    dialect: Option<String>,
    #[serde(rename = "type")]
    kind: Object,
    title: Option<String>,
    description: Option<String>,
    properties: Ordered,
    #[serde(default)]
    required: Vec<String>,
    additional_properties: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Object {
    Object,
}

/// The properties in their order, which a map by name would lose.
struct Ordered(Vec<(String, Property)>);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Ordered;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of properties")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Ordered, M::Error> {
                let mut properties = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if properties.len() == PROPERTIES {
                        let why = format!("it has more than {PROPERTIES} properties");
                        return Err(M::Error::custom(why));
                    }
                    if properties.iter().any(|(known, _)| *known == name) {
                        return Err(M::Error::custom(format!("it has `{name}` twice")));
                    }
                    properties.push((name, map.next_value()?));
                }
                Ok(Ordered(properties))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

impl Form {
    /// Reads the schema of a question.
    pub(crate) fn read(schema: &str) -> Result<Self, NoForm> {
        if schema.len() > SCHEMA_BYTES {
            return Err(NoForm(format!("it has more than {SCHEMA_BYTES} bytes")));
        }
        let no_form = |error: serde_json::Error| NoForm(error.to_string());
        let written: Written = serde_json::from_str(schema).map_err(no_form)?;
        let mut closed: Value = serde_json::from_str(schema).map_err(no_form)?;
        closed["additionalProperties"] = false.into();
        let properties = written.properties.0;
        for (name, property) in &properties {
            property
                .check(&closed["properties"][name])
                .map_err(|why| NoForm(format!("`{name}` {why}")))?;
        }
        let known = |name: &&String| properties.iter().any(|(known, _)| known == *name);
        if let Some(unknown) = written.required.iter().find(|name| !known(name)) {
            return Err(NoForm(format!(
                "it requires `{unknown}`, which is no property"
            )));
        }
        Ok(Self {
            properties,
            required: written.required.into_iter().collect(),
            closed,
        })
    }

    /// What is wrong with an answer, if anything is.
    pub fn violation(&self, answer: &Value) -> Option<String> {
        violation(&self.closed, answer)
    }
}

fn violation(schema: &Value, value: &Value) -> Option<String> {
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(schema);
    match validator {
        Ok(validator) => validator.validate(value).err().map(|error| {
            let place = error.instance_path().to_string();
            let text: String = error.masked().to_string().chars().take(300).collect();
            if place.is_empty() {
                text
            } else {
                format!("at `{place}`: {text}")
            }
        }),
        Err(error) => Some(error.to_string()),
    }
}

impl Property {
    /// The values to choose from, with their names for people, where it is a choice.
    pub fn choices(&self) -> Option<Vec<Choice>> {
        let unnamed = |names: &[String]| -> Vec<Choice> {
            let choice = |name: &String| Choice {
                value: name.clone(),
                title: name.clone(),
            };
            names.iter().map(choice).collect()
        };
        match (&self.one_of, &self.names, &self.items) {
            (Some(choices), ..) => Some(choices.clone()),
            (_, Some(names), _) => {
                let titles = self.enum_names.as_ref().unwrap_or(names);
                let choice = |(value, title): (&String, &String)| Choice {
                    value: value.clone(),
                    title: title.clone(),
                };
                Some(names.iter().zip(titles).map(choice).collect())
            }
            (_, _, Some(items)) => match (&items.any_of, &items.names) {
                (Some(choices), _) => Some(choices.clone()),
                (None, Some(names)) => Some(unnamed(names)),
                (None, None) => None,
            },
            _ => None,
        }
    }

    /// Whether its keywords belong to what it is. `written` is the same as JSON.
    fn check(&self, written: &Value) -> Result<(), String> {
        let own: &[&str] = match self.kind {
            Kind::String if self.names.is_some() => &["enum", "enumNames"],
            Kind::String if self.one_of.is_some() => &["oneOf"],
            Kind::String => &["format", "minLength", "maxLength"],
            Kind::Number | Kind::Integer => &["minimum", "maximum"],
            Kind::Boolean => &[],
            Kind::Array => &["items", "minItems", "maxItems"],
        };
        let common = ["type", "title", "description", "default"];
        let keywords = written
            .as_object()
            .into_iter()
            .flat_map(|keywords| keywords.keys());
        for keyword in keywords {
            if !common.contains(&keyword.as_str()) && !own.contains(&keyword.as_str()) {
                return Err(format!(
                    "has `{keyword}`, which does not go with the rest of it"
                ));
            }
        }
        let whole = |bound: &Option<Number>| bound.as_ref().is_none_or(Number::is_i64);
        if self.kind == Kind::Integer && !(whole(&self.minimum) && whole(&self.maximum)) {
            return Err("is an integer with a bound that is none".to_owned());
        }
        if let (Some(names), Some(titles)) = (&self.names, &self.enum_names)
            && names.len() != titles.len()
        {
            return Err("has not as many `enumNames` as values".to_owned());
        }
        let is_choice = self.names.is_some() || self.one_of.is_some() || self.kind == Kind::Array;
        if is_choice && self.choices().is_none_or(|choices| choices.is_empty()) {
            return Err("offers nothing to choose".to_owned());
        }
        if let Some(items) = &self.items
            && (items.kind.is_some_and(|kind| kind != Kind::String)
                || (items.names.is_some() && items.kind.is_none())
                || (items.names.is_some() && items.any_of.is_some()))
        {
            return Err("has `items` that are no choice of strings".to_owned());
        }
        match &self.default {
            Some(default) => match violation(written, default) {
                Some(violation) => Err(format!("has a default that does not fit it: {violation}")),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(properties: &Value) -> Result<Form, NoForm> {
        Form::read(&json!({ "type": "object", "properties": properties }).to_string())
    }

    #[test]
    fn every_kind_of_question_that_mcp_has_is_read() {
        let form = of(&json!({
            "plain": { "type": "string", "title": "T", "description": "D", "default": "x" },
            "mail": { "type": "string", "format": "email", "minLength": 3, "maxLength": 100 },
            "when": { "type": "string", "format": "date-time" },
            "count": { "type": "integer", "minimum": 0, "maximum": 10, "default": 3 },
            "share": { "type": "number", "minimum": 0.5 },
            "sure": { "type": "boolean", "default": true },
            "one": { "type": "string", "enum": ["a", "b"], "default": "a" },
            "named": { "type": "string", "enum": ["a", "b"], "enumNames": ["A", "B"] },
            "titled": { "type": "string", "oneOf": [{ "const": "a", "title": "A" }] },
            "some": { "type": "array", "items": { "type": "string", "enum": ["a", "b"] }, "minItems": 1, "default": ["b"] },
            "titled_some": { "type": "array", "items": { "anyOf": [{ "const": "a", "title": "A" }] }, "maxItems": 1 },
        }))
        .unwrap();
        let choices = |name: &str| {
            let (_, property) = form
                .properties
                .iter()
                .find(|(known, _)| known == name)
                .unwrap();
            let choices = property.choices().unwrap();
            choices
                .iter()
                .map(|choice| choice.title.clone())
                .collect::<String>()
        };
        assert_eq!(
            ["one", "named", "titled", "some", "titled_some"].map(choices),
            ["ab", "AB", "A", "ab", "A"]
        );
    }

    #[test]
    fn the_order_is_the_guests() {
        let schema =
            r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}"#;
        let form = Form::read(schema).unwrap();
        let names: Vec<_> = form
            .properties
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["z", "a"]);
    }

    #[test]
    fn what_no_client_need_understand_is_refused_with_the_reason() {
        let many: serde_json::Map<_, _> = (0..33)
            .map(|number| (number.to_string(), json!({ "type": "string" })))
            .collect();
        for (properties, part) in [
            (
                json!({ "a": { "type": "object" } }),
                "unknown variant `object`",
            ),
            (
                json!({ "a": { "type": "string", "pattern": "x" } }),
                "unknown field `pattern`",
            ),
            (
                json!({ "a": { "type": "string", "format": "password" } }),
                "unknown variant `password`",
            ),
            (
                json!({ "a": { "type": "boolean", "minimum": 1 } }),
                "`a` has `minimum`",
            ),
            (
                json!({ "a": { "type": "array", "items": { "type": "integer" } } }),
                "nothing to choose",
            ),
            (json!({ "a": { "type": "array" } }), "nothing to choose"),
            (
                json!({ "a": { "type": "string", "enum": [] } }),
                "nothing to choose",
            ),
            (
                json!({ "a": { "type": "integer", "minimum": 0.5 } }),
                "a bound that is none",
            ),
            (
                json!({ "a": { "type": "integer", "maximum": 1, "default": 2 } }),
                "a default that does not fit",
            ),
            (
                json!({ "a": { "type": "string", "enum": ["a"], "enumNames": [] } }),
                "`enumNames`",
            ),
            (json!({ "a": { "$ref": "#/x" } }), "unknown field `$ref`"),
            (Value::Object(many), "more than 32 properties"),
        ] {
            let error = of(&properties).unwrap_err().to_string();
            assert!(error.contains(part), "{properties}: {error}");
        }
        for (schema, part) in [
            ("{", "EOF"),
            (
                r#"{"type":"array","properties":{}}"#,
                "unknown variant `array`",
            ),
            (r#"{"type":"object"}"#, "missing field `properties`"),
            (
                r#"{"type":"object","properties":{},"required":["a"]}"#,
                "requires `a`",
            ),
            (
                r#"{"type":"object","properties":{"a":{"type":"boolean"},"a":{"type":"string"}}}"#,
                "twice",
            ),
        ] {
            let error = Form::read(schema).unwrap_err().to_string();
            assert!(error.contains(part), "{schema}: {error}");
        }
    }

    #[test]
    fn an_answer_is_held_to_the_form() {
        let schema = json!({
            "type": "object",
            "properties": {
                "mail": { "type": "string", "format": "email" },
                "one": { "type": "string", "oneOf": [{ "const": "a", "title": "A" }] },
            },
            "required": ["mail"],
        });
        let form = Form::read(&schema.to_string()).unwrap();
        assert_eq!(
            form.violation(&json!({ "mail": "ann@harbour.example", "one": "a" })),
            None
        );
        for answer in [
            json!({}),
            json!([]),
            json!({ "mail": "nobody" }),
            json!({ "mail": "ann@harbour.example", "one": "b" }),
            json!({ "mail": "ann@harbour.example", "more": 1 }),
        ] {
            assert!(form.violation(&answer).is_some(), "{answer}");
        }
    }
}
