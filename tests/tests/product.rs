//! The product as its users use it: one program, so that it is linked once.

#[path = "product/accounts.rs"]
mod accounts;
#[path = "product/audit.rs"]
mod audit;
#[path = "product/bad_input.rs"]
mod bad_input;
#[path = "product/canary.rs"]
mod canary;
#[path = "product/code_cache.rs"]
mod code_cache;
#[path = "product/command_line.rs"]
mod command_line;
#[path = "product/conformance.rs"]
mod conformance;
#[path = "product/connecting.rs"]
mod connecting;
#[path = "product/egress.rs"]
mod egress;
#[path = "product/engine.rs"]
mod engine;
#[path = "product/faults.rs"]
mod faults;
#[path = "product/fuzz.rs"]
mod fuzz;
#[path = "product/hostile.rs"]
mod hostile;
#[path = "product/limits.rs"]
mod limits;
#[path = "product/mcp.rs"]
mod mcp;
#[path = "product/mcp_session.rs"]
mod mcp_session;
#[path = "product/metrics.rs"]
mod metrics;
#[path = "product/page.rs"]
mod page;
#[path = "product/parity.rs"]
mod parity;
#[path = "product/plugin_directory.rs"]
mod plugin_directory;
#[path = "product/policy.rs"]
mod policy;
#[path = "product/policy_bounds.rs"]
mod policy_bounds;
#[path = "product/policy_files.rs"]
mod policy_files;
#[path = "product/readme.rs"]
mod readme;
#[path = "product/serve.rs"]
mod serve;
#[path = "product/terminal.rs"]
mod terminal;
#[path = "product/tokens.rs"]
mod tokens;
#[path = "product/traces.rs"]
mod traces;
