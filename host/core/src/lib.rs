//! The host: tools found, calls admitted, resolved, run and answered.
//!
//! [`Host::call`] is the way of a call, step by step; [`Outcome`] is all that a front translates. The core knows
//! neither HTTP servers nor terminals; what wasmtime is, only the runtime knows, and what a vault is, only the
//! broker.

#![forbid(unsafe_code)]

mod admission;
mod built_in;
mod call;
mod caller;
mod catalogue;
pub mod config;
pub mod conformance;
mod content;
mod handover;
mod history;
mod host;
mod metrics;
mod observed;
mod policy;

pub use call::{Account, Call, CallLost, Failure, Finished, Interrupted, Outcome};
pub use caller::{Caller, ProfileChoice};
pub use catalogue::{CatalogueView, Conflict, LoadEvent, Problem, ServedTool};
pub use config::{Config, ConfigError};
pub use content::content_to_json;
pub use handover::guest_threads;
pub use history::{CallEnd, CallRecord, History};
pub use host::{Host, HostError, open_broker, open_runtime};
pub use observed::GoOn;
pub use policy::{Approved, PolicyError, Standing};

pub use holster_audit as audit;
pub use holster_audit::{CalledComponent, VisitedHost};
pub use holster_broker as broker;
pub use holster_runtime::{
    Answer, Answering, Behaviour, CacheEntry, CacheError, CacheVerdict, CallError, CallProgress,
    Choice, CodeCache, Content, Form, Format, HostVisit, Kind, Limits, LogLevel, LogMessage,
    Progress, Property, QUESTION_TIME, Question, ResourceContents, Runtime, RuntimeError, Session,
    ToolDefinition, ToolError, ToolOutput, Unanswered, inspect, read_component,
};
pub use holster_types as types;
