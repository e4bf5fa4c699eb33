//! The host's side of the WIT package, generated from `wit/` and from nowhere else.

#![allow(missing_docs, unreachable_pub)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "holster:plugin/plugin",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "holster:plugin/auth.credential": crate::auth::Credential,
        "wasi:cli": wasmtime_wasi::p2::bindings::cli,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:filesystem": wasmtime_wasi::p2::bindings::filesystem,
        "wasi:http": wasmtime_wasi_http::p2::bindings::http,
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:random": wasmtime_wasi::p2::bindings::random,
    },
});

pub use exports::holster::plugin::tool as wit_tool;
pub use holster::plugin::auth as wit_auth;
pub use holster::plugin::session as wit_session;
