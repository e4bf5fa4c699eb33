//! The commands, one file for each.

pub(crate) mod auth;
pub(crate) mod cache;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod inspect;
pub(crate) mod mcp;
pub(crate) mod profiles;
pub(crate) mod providers;
pub(crate) mod schema;
pub(crate) mod tools;
pub(crate) mod vault;

use std::sync::Arc;

use holster_core::Host;

use crate::Global;
use crate::exit::Exit;
use crate::progress::Compiles;

/// The host, with progress of compiles on the terminal.
pub(crate) async fn open_host(global: &Global) -> Result<Host, Exit> {
    let compiles = Arc::new(Compiles::new());
    let observer = move |component: &_, event| compiles.observe(component, &event);
    Host::open_observed(global.config()?, observer)
        .await
        .map_err(Exit::usage)
}
