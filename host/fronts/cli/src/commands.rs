//! The commands, one file for each.

pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod cache;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod mcp;
pub(crate) mod policy;
pub(crate) mod profiles;
pub(crate) mod providers;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod tools;
pub(crate) mod vault;

use std::sync::Arc;

use holster_core::Host;

use crate::Global;
use crate::exit::Exit;
use crate::progress::Compiles;

/// Runs a front on a thread of its own, so that it answers while guests compute on all others.
pub(crate) async fn apart<F, T, E>(front: impl FnOnce() -> F + Send + 'static) -> Result<T, Exit>
where
    F: Future<Output = Result<T, E>>,
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    let served = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Exit::failed)?;
        runtime.block_on(front()).map_err(Exit::failed)
    });
    served.await.map_err(Exit::failed)?
}

/// The host, with progress of compiles on the terminal.
pub(crate) async fn open_host(global: &Global) -> Result<Host, Exit> {
    let compiles = Arc::new(Compiles::new());
    let observer = move |component: &_, event| compiles.observe(component, &event);
    Host::open_observed(global.config()?, observer)
        .await
        .map_err(Exit::usage)
}
