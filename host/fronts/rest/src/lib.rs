//! Tools over plain HTTP, and who may send requests to this host at all.
//!
//! [`Gate`] admits a request, or refuses it: it knows the host's names, who may call and how often each may, and says for
//! whom a request is ([`Caller`](holster_core::Caller)). [`router`] answers what was admitted under `/v1`, shows people a page
//! at `/`, and tells an operator the numbers of the host at `/metrics`.
//! [`Server`] is the listener, bounded and graceful. What a call, a connection or an account is, the core decides.

#![forbid(unsafe_code)]

mod gate;
mod metrics;
mod page;
mod problem;
mod resource;
mod routes;
mod server;
mod traced;

pub use gate::{Gate, GateError, GateSettings};
pub use routes::{Events, Rest, openapi, router};
pub use server::{ServeError, Server};
