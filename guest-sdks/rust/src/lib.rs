//! Write tools for Holster in Rust.
//!
//! A tool is a plain function under [`#[tool]`](macro@tool), and a component is a list of tools under [`export!`]. The
//! function's doc comment, parameters and result become what agents read; [`auth`], [`config`] and [`http`] are the
//! ways to the world outside. The crate promises that a tool's schemas are those of the same tool in another language.
//! It leaves secrets, limits and the checking of arguments to the host.
//!
//! What follows is the README, so that its example is one of the crate's tests.
//!
#![doc = include_str!("../README.md")]

extern crate self as holster_sdk;

mod answer;
mod arguments;
pub mod auth;
#[doc(hidden)]
pub mod bindings;
pub mod config;
mod context;
pub mod error;
mod export;
pub mod http;
pub mod output;
mod schema;
pub mod session;

pub use bindings::exports::holster::plugin::tool::{
    Behaviour, CallContext as Context, Requirement, ToolDefinition, ToolError,
};
pub use export::Tool;
pub use holster_sdk_macros::tool;
pub use output::Output;

/// The crates whose traits a tool's types derive.
pub use {schemars, serde, serde_json};

/// What the macros write, and nobody else: it may change at any time.
#[doc(hidden)]
pub mod __private {
    pub use crate::answer::{output_schema, structured};
    pub use crate::arguments::Arguments;
    pub use crate::bindings;
    pub use crate::export::{Entry, are_distinct, call, list};
    pub use crate::schema::{InputSchema, Parameter};
}

/// Why the ways to the world outside are closed in an author's own tests.
const NO_HOST: &str = "there is no host here: this is not a component";

/// Whether a host answers. In an author's own tests there is none, and the generated imports would panic.
const fn host_is_there() -> bool {
    cfg!(target_family = "wasm")
}

/// The example on the first page of the repository.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;
