//! Every way in which `schemars` writes what has one canonical form.

use super::*;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

fn output<T: JsonSchema>() -> Value {
    of_output::<T>().to_value()
}

fn input(parameters: impl IntoIterator<Item = Parameter>) -> Value {
    let schema = parameters
        .into_iter()
        .fold(InputSchema::new(), InputSchema::parameter)
        .finish();
    serde_json::from_str(&schema).unwrap()
}

/// Speaks to programmers.
#[derive(Serialize, Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Person {
    /// What they are called.
    name: String,
    /// Their age in years.
    age: Option<u8>,
    title: Option<Title>,
    home: Box<Place>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
enum Title {
    /// A doctor.
    Doctor,
    /// A professor.
    Professor,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[allow(dead_code)]
enum Single {
    /// The only one.
    Only,
}

/// A place.
#[derive(Serialize, Deserialize, JsonSchema)]
#[allow(dead_code)]
struct Place {
    latitude: f64,
}

#[test]
fn a_nested_type_is_inlined_closed_and_without_names_and_widths() {
    assert_eq!(
        output::<Person>(),
        json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "description": "What they are called." },
                "age": { "type": "integer", "minimum": 0, "description": "Their age in years." },
                "title": { "type": "string", "enum": ["doctor", "professor"] },
                "home": {
                    "type": "object",
                    "description": "A place.",
                    "properties": { "latitude": { "type": "number" } },
                    "required": ["latitude"],
                    "additionalProperties": false,
                },
            },
            "required": ["name", "home"],
            "additionalProperties": false,
        })
    );
}

#[test]
fn numbers_keep_their_sign_and_nothing_else() {
    let natural = json!({ "type": "integer", "minimum": 0 });
    for schema in [
        output::<u8>(),
        output::<u16>(),
        output::<u32>(),
        output::<u64>(),
        output::<usize>(),
    ] {
        assert_eq!(schema, natural);
    }
    for schema in [
        output::<i8>(),
        output::<i16>(),
        output::<i32>(),
        output::<i64>(),
        output::<isize>(),
    ] {
        assert_eq!(schema, json!({ "type": "integer" }));
    }
    for schema in [output::<f32>(), output::<f64>()] {
        assert_eq!(schema, json!({ "type": "number" }));
    }
}

#[test]
fn names_are_an_enum_whether_or_not_they_are_documented() {
    assert_eq!(
        output::<Title>(),
        json!({ "type": "string", "enum": ["doctor", "professor"] })
    );
    assert_eq!(
        output::<Single>(),
        json!({ "type": "string", "enum": ["Only"] })
    );
}

#[test]
fn parameters_are_required_in_the_order_in_which_they_are_declared() {
    let schema = input([
        Parameter::required::<String>("zeta"),
        Parameter::optional::<u32>("note"),
        Parameter::required::<bool>("alpha"),
        Parameter::with_default::<i64>("count", &3)
            .minimum(1)
            .maximum(9)
            .description("How many."),
    ]);
    assert_eq!(
        schema,
        json!({
            "type": "object",
            "properties": {
                "zeta": { "type": "string" },
                "note": { "type": "integer", "minimum": 0 },
                "alpha": { "type": "boolean" },
                "count": { "type": "integer", "minimum": 1, "maximum": 9, "default": 3, "description": "How many." },
            },
            "required": ["zeta", "alpha"],
            "additionalProperties": false,
        })
    );
}

#[test]
fn no_parameters_are_an_empty_object() {
    assert_eq!(
        input([]),
        json!({ "type": "object", "properties": {}, "additionalProperties": false })
    );
}

#[test]
fn a_length_bounds_characters_or_items() {
    let schema = input([
        Parameter::required::<String>("text")
            .min_length(1)
            .max_length(5),
        Parameter::required::<Vec<String>>("list")
            .min_length(1)
            .max_length(5),
    ]);
    assert_eq!(
        schema["properties"]["text"],
        json!({ "type": "string", "minLength": 1, "maxLength": 5 })
    );
    assert_eq!(schema["properties"]["list"]["minItems"], 1);
    assert_eq!(schema["properties"]["list"]["maxItems"], 5);
}

#[test]
fn an_option_behind_another_name_is_optional_all_the_same() {
    type Maybe = Option<Title>;
    let schema = input([Parameter::required::<Maybe>("title")]);
    assert_eq!(
        schema["properties"]["title"],
        json!({ "type": "string", "enum": ["doctor", "professor"] })
    );
    assert_eq!(schema.get("required"), None);
}

#[test]
fn only_a_type_that_contains_itself_has_definitions() {
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Tree {
        leaves: Vec<Tree>,
    }
    let schema = input([Parameter::required::<Tree>("tree")]);
    let reference = schema["properties"]["tree"]["properties"]["leaves"]["items"]["$ref"]
        .as_str()
        .or_else(|| schema["properties"]["tree"]["$ref"].as_str())
        .expect("a reference");
    let definition = schema
        .pointer(reference.trim_start_matches('#'))
        .expect("what it refers to");
    assert_eq!(definition["additionalProperties"], false);
    assert_eq!(definition.get("title"), None);
}

#[test]
fn an_object_that_is_said_in_parts_stays_open_in_every_part() {
    #[derive(Serialize, JsonSchema)]
    #[serde(tag = "kind")]
    #[allow(dead_code)]
    enum Shape {
        Circle { radius: f64 },
        Square { side: f64 },
    }
    #[derive(Serialize, JsonSchema)]
    struct Figure {
        colour: String,
        #[serde(flatten)]
        shape: Shape,
    }
    let schema = output::<Figure>();
    assert_eq!(schema.get("additionalProperties"), None, "{schema}");
    for case in schema["oneOf"].as_array().unwrap() {
        assert_eq!(case.get("additionalProperties"), None, "{case}");
    }
    // By itself, each case says everything.
    for case in output::<Shape>()["oneOf"].as_array().unwrap() {
        assert_eq!(case["additionalProperties"], false, "{case}");
    }
}

#[test]
fn a_map_keeps_what_it_says_about_its_members() {
    let schema = output::<BTreeMap<String, u16>>();
    assert_eq!(
        schema,
        json!({ "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 } })
    );
}

#[test]
fn the_shape_of_a_schema_decides_what_is_wrapped() {
    #[derive(Serialize, JsonSchema)]
    #[allow(dead_code)]
    enum Mixed {
        Nothing,
        Something { value: u32 },
    }
    for (schema, expected) in [
        (of_output::<Person>(), super::Shape::Object),
        (of_output::<BTreeMap<String, u16>>(), super::Shape::Object),
        (of_output::<Vec<Person>>(), super::Shape::Other),
        (of_output::<u32>(), super::Shape::Other),
        (of_output::<Option<u32>>(), super::Shape::Other),
        (of_output::<Title>(), super::Shape::Other),
        (of_output::<Mixed>(), super::Shape::Mixed),
        (of_output::<Value>(), super::Shape::Mixed),
        (of_output::<Option<Person>>(), super::Shape::Mixed),
    ] {
        assert_eq!(shape(&schema), expected, "{}", schema.to_value());
    }
}

#[test]
fn a_wrapped_option_need_not_be_there() {
    let schema = wrapped(of_output::<Option<u32>>()).to_value();
    assert_eq!(
        schema,
        json!({
            "type": "object",
            "properties": { "result": { "type": "integer", "minimum": 0 } },
            "additionalProperties": false,
        })
    );
}
