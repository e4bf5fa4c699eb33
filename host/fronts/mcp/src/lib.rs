//! Tools for agents that speak the Model Context Protocol.
//!
//! [`Server`] answers one client, or the clients of one endpoint: it lists the catalogue, calls the host, and says an
//! interrupt in the way that the client understands. For whom a call runs is decided by who starts the server or
//! admits the request ([`Caller`](holster_core::Caller)), not by the agent. Protocol and transports are `rmcp`'s.

#![forbid(unsafe_code)]

mod answer;
mod http;
mod interrupt;
mod listing;
mod resumption;
mod running;
mod server;
mod session;
mod stdio;

pub use http::McpService;
pub use interrupt::{ConnectPages, PagesError};
pub use server::{CallerSource, Server};
pub use stdio::{StdioError, serve_stdio};
