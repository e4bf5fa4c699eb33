//! Typed results: from a value to structured content, and from its type to the output schema.
//!
//! The protocol wants an object. A value that is none, such as a list, is wrapped as `{"result": …}`, in the schema
//! and in the content alike. A member that is `null` is left out, as the schemas of all languages say of what is
//! optional.

use crate::output::Content;
use crate::{Output, ToolError, schema};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// The output schema of a type, as text.
///
/// # Panics
/// If some values of the type are objects and some are not, because then no fixed rule could say what is wrapped.
pub fn output_schema<T: JsonSchema>(always_wrapped: bool) -> String {
    let schema = schema::of_output::<T>();
    let schema = if always_wrapped {
        schema::wrapped(schema)
    } else {
        match schema::shape(&schema) {
            schema::Shape::Object => schema,
            schema::Shape::Other => schema::wrapped(schema),
            schema::Shape::Mixed => panic!(
                "a value of `{}` may be an object or not, which makes it no result of a tool; \
                 return a struct that holds it in a field",
                std::any::type_name::<T>()
            ),
        }
    };
    schema.to_value().to_string()
}

/// The answer that holds a value.
pub fn structured<T: Serialize>(value: &T, always_wrapped: bool) -> Result<Output, ToolError> {
    let value = serde_json::to_value(value).map_err(|error| {
        ToolError::Failed(format!("the result cannot be written as JSON: {error}"))
    })?;
    let mut object = match value {
        Value::Object(object) if !always_wrapped => object,
        value => Map::from_iter([("result".to_owned(), value)]),
    };
    leave_out_nulls(&mut object);
    let content = Content::Structured(Value::Object(object).to_string());
    Ok(Output::default().and(content))
}

fn leave_out_nulls(object: &mut Map<String, Value>) {
    object.retain(|_, value| !value.is_null());
    object.values_mut().for_each(leave_out_nulls_within);
}

fn leave_out_nulls_within(value: &mut Value) {
    match value {
        Value::Object(object) => leave_out_nulls(object),
        Value::Array(values) => values.iter_mut().for_each(leave_out_nulls_within),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(value: &Value, always_wrapped: bool) -> Value {
        match structured(value, always_wrapped)
            .unwrap()
            .content
            .as_slice()
        {
            [Content::Structured(text)] => serde_json::from_str(text).unwrap(),
            other => panic!("not one structured item: {other:?}"),
        }
    }

    #[test]
    fn members_that_are_null_are_left_out_at_every_depth_but_items_stay() {
        let value = json!({ "a": null, "b": [{ "c": null, "d": 1 }, null], "e": { "f": null } });
        assert_eq!(
            answer(&value, false),
            json!({ "b": [{ "d": 1 }, null], "e": {} })
        );
    }

    #[test]
    fn an_object_is_wrapped_only_where_its_type_is_always_wrapped() {
        let value = json!({ "a": 1 });
        assert_eq!(answer(&value, false), value);
        assert_eq!(answer(&value, true), json!({ "result": { "a": 1 } }));
        assert_eq!(answer(&json!(3), false), json!({ "result": 3 }));
    }

    #[test]
    fn a_value_that_is_no_json_makes_the_tool_fail() {
        let keyed_by_lists = std::collections::BTreeMap::from([(vec![1], 1)]);
        let error = structured(&keyed_by_lists, false).unwrap_err();
        assert_eq!(
            error,
            ToolError::Failed("the result cannot be written as JSON: key must be a string".into())
        );
    }
}
