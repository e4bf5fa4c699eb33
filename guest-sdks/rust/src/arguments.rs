//! The arguments of a call, on their way from JSON to the parameters of a function.
//!
//! The host has checked them against the tool's schema. What remains is what a schema cannot say, so every error here
//! names the parameter and is [`ToolError::InvalidArguments`].

use crate::ToolError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The arguments that no parameter has taken yet.
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Reads a JSON object.
    pub fn parse(arguments: &str) -> Result<Self, ToolError> {
        serde_json::from_str(arguments).map(Self).map_err(|error| {
            ToolError::InvalidArguments(format!("the arguments are not a JSON object: {error}"))
        })
    }

    /// Takes an argument that has to be there.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, ToolError> {
        match self.0.remove(name) {
            Some(value) => read(name, value),
            None => Err(ToolError::InvalidArguments(format!("`{name}` is missing"))),
        }
    }

    /// Takes an argument that may be left out.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ToolError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(name, value).map(Some),
        }
    }

    /// Refuses what no parameter has taken.
    pub fn finish(self) -> Result<(), ToolError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(ToolError::InvalidArguments(format!(
                "there is no parameter `{name}`"
            ))),
        }
    }
}

fn read<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, ToolError> {
    serde_json::from_value(value)
        .map_err(|error| ToolError::InvalidArguments(format!("`{name}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid<T: std::fmt::Debug>(result: Result<T, ToolError>) -> String {
        match result {
            Err(ToolError::InvalidArguments(message)) => message,
            other => panic!("not a refusal of the arguments: {other:?}"),
        }
    }

    #[test]
    fn an_argument_is_taken_once_and_what_is_left_over_is_refused() {
        let mut arguments = Arguments::parse(r#"{"count": 3, "colour": "red"}"#).unwrap();
        assert_eq!(arguments.required::<u32>("count"), Ok(3));
        assert_eq!(
            invalid(arguments.finish()),
            "there is no parameter `colour`"
        );
    }

    #[test]
    fn an_optional_argument_may_be_absent_or_null() {
        let mut arguments = Arguments::parse(r#"{"note": null}"#).unwrap();
        assert_eq!(arguments.optional::<String>("note"), Ok(None));
        assert_eq!(arguments.optional::<String>("other"), Ok(None));
        assert_eq!(arguments.finish(), Ok(()));
    }

    #[test]
    fn an_error_names_the_parameter() {
        let mut arguments = Arguments::parse(r#"{"count": -1}"#).unwrap();
        assert_eq!(
            invalid(arguments.required::<String>("title")),
            "`title` is missing"
        );
        let message = invalid(arguments.required::<u32>("count"));
        assert!(message.starts_with("`count`: invalid value"), "{message}");
    }

    #[test]
    fn arguments_that_are_no_object_are_refused() {
        for text in ["", "[]", "null", "{\"a\":"] {
            let message = invalid(Arguments::parse(text).map(|_| ()));
            assert!(
                message.starts_with("the arguments are not a JSON object: "),
                "{message}"
            );
        }
    }
}
