//! The connect pages: where a person connects an account, in their own browser.
//!
//! [`ConnectServer`] serves them for one process, [`SharedServer`] for all processes of a user that share a data
//! folder. They ask the broker and show what it says; what a connection is and who may go on with it, the broker
//! decides. Here it is decided which requests are heard at all: those for this host's own name, and of these only
//! what a person sends from these pages changes anything.

#![forbid(unsafe_code)]

mod cookie;
mod error;
mod form;
mod guard;
mod pages;
mod routes;
mod server;
mod shared;
mod site;
#[cfg(test)]
mod test_support;

pub use error::ConnectError;
pub use routes::router;
pub use server::{ConnectServer, ConnectSettings};
pub use shared::{SharedServer, find};
