//! From tools to a component.
//!
//! [`export!`](crate::export!) writes a table of the tools, and the two functions of the `tool` interface that read it.
//! A name that stands twice in the table does not compile.

use crate::{Context, Output, ToolDefinition, ToolError};

/// What [`#[tool]`](macro@crate::tool) makes of a function: a type of the function's name.
pub trait Tool {
    /// The name by which agents call the tool.
    const NAME: &'static str;

    /// What agents and the host get to know about the tool.
    fn definition() -> ToolDefinition;

    /// Calls the function with arguments as the host hands them over: a JSON object, as text.
    ///
    /// # Errors
    /// [`ToolError::InvalidArguments`] if they do not fit the parameters, else what the function says.
    fn call(arguments: &str, context: &Context) -> Result<Output, ToolError>;
}

/// One row of a component's table of tools.
#[doc(hidden)]
pub struct Entry {
    name: &'static str,
    definition: fn() -> ToolDefinition,
    call: fn(&str, &Context) -> Result<Output, ToolError>,
}

impl Entry {
    /// The row of a tool.
    pub const fn of<T: Tool>() -> Self {
        Self {
            name: T::NAME,
            definition: T::definition,
            call: T::call,
        }
    }
}

/// The interface's `list-tools`.
#[doc(hidden)]
pub fn list(tools: &[Entry]) -> Vec<ToolDefinition> {
    tools.iter().map(|tool| (tool.definition)()).collect()
}

/// The interface's `call`.
#[doc(hidden)]
pub fn call(
    tools: &[Entry],
    name: &str,
    arguments: &str,
    context: &Context,
) -> Result<Output, ToolError> {
    match tools.iter().find(|tool| tool.name == name) {
        Some(tool) => (tool.call)(arguments, context),
        None => Err(ToolError::InvalidArguments(format!(
            "there is no tool `{name}` in this component"
        ))),
    }
}

/// Whether no two tools have the same name, told at compile time.
#[doc(hidden)]
pub const fn are_distinct(tools: &[Entry]) -> bool {
    let mut first = 0;
    while first < tools.len() {
        let mut second = first + 1;
        while second < tools.len() {
            if equal(tools[first].name.as_bytes(), tools[second].name.as_bytes()) {
                return false;
            }
            second += 1;
        }
        first += 1;
    }
    true
}

/// `==` is not yet `const`.
const fn equal(left: &[u8], right: &[u8]) -> bool {
    let mut index = 0;
    while index < left.len() && index < right.len() && left[index] == right[index] {
        index += 1;
    }
    index == left.len() && index == right.len()
}

/// Makes a component of tools: `holster_sdk::export!(first_tool, module::second_tool);`, once in a crate.
///
/// Agents see the tools in this order. Two tools of one name do not compile:
///
/// ```compile_fail,E0080
/// # use holster_sdk::tool;
/// /// Says hello.
/// #[tool]
/// fn greet() -> String {
///     "hello".into()
/// }
///
/// /// Says hello to the world.
/// #[tool(name = "greet")]
/// fn greet_all() -> String {
///     "hello, world".into()
/// }
///
/// holster_sdk::export!(greet, greet_all);
/// ```
#[macro_export]
macro_rules! export {
    ($($tool:ty),+ $(,)?) => {
        const _: () = {
            static TOOLS: &[$crate::__private::Entry] = &[$($crate::__private::Entry::of::<$tool>()),+];
            const _: () = ::core::assert!(
                $crate::__private::are_distinct(&[$($crate::__private::Entry::of::<$tool>()),+]),
                "two tools of this component have the same name"
            );

            struct Component;

            impl $crate::__private::bindings::exports::holster::plugin::tool::Guest for Component {
                fn list_tools() -> ::std::vec::Vec<$crate::ToolDefinition> {
                    $crate::__private::list(TOOLS)
                }

                fn call(
                    name: ::std::string::String,
                    arguments: ::std::string::String,
                    context: $crate::Context,
                ) -> ::core::result::Result<$crate::Output, $crate::ToolError> {
                    $crate::__private::call(TOOLS, &name, &arguments, &context)
                }
            }

            // Off the target there is no host to export to, only tests to run.
            #[cfg(target_family = "wasm")]
            $crate::__private::bindings::export!(Component with_types_in $crate::__private::bindings);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_only_as_a_whole() {
        for (left, right, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("ab", "a", false),
            ("a", "b", false),
        ] {
            assert_eq!(
                equal(left.as_bytes(), right.as_bytes()),
                expected,
                "{left} {right}"
            );
        }
    }

    #[test]
    fn a_tool_that_is_not_there_is_named_in_the_refusal() {
        let context = Context {
            thread: "t".into(),
            profile: "work".into(),
            deadline: 0,
        };
        let error = call(&[], "greet", "{}", &context).unwrap_err();
        let message = "there is no tool `greet` in this component";
        assert_eq!(error, ToolError::InvalidArguments(message.into()));
    }
}
