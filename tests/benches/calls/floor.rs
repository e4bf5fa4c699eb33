//! The floor: a call by wasmtime alone, with the engine set up as Holster's is, and nothing around it.
//!
//! It instantiates, calls and parses the answer. It has no limits, no deadline, no log, no schemas, no accounts and
//! no egress: what those cost is what Holster adds.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result, Store,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use self::bindings::exports::holster::plugin::tool::{CallContext, Content};
use self::bindings::holster::plugin::auth::{
    self, AuthError, AuthHeader, HostCredential, SignAlgorithm,
};
use self::bindings::holster::plugin::session::{self, Answer, AskError, Level};
use self::bindings::{Plugin, PluginPre, exports};

#[allow(missing_docs, unreachable_pub, clippy::pedantic)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "holster:plugin/plugin",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "holster:plugin/auth.credential": super::NoCredential,
            "wasi:cli": wasmtime_wasi::p2::bindings::cli,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:filesystem": wasmtime_wasi::p2::bindings::filesystem,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:random": wasmtime_wasi::p2::bindings::random,
        },
    });
}

/// A component, ready to be called.
pub(crate) struct Floor {
    engine: Engine,
    pre: PluginPre<State>,
}

impl Floor {
    /// Compiles the component.
    pub(crate) fn open(component: &Path) -> Result<Self> {
        let engine = Engine::new(&config())?;
        let ticker = engine.weak();
        std::thread::spawn(move || {
            while let Some(engine) = ticker.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        wasmtime_wasi_config::add_to_linker(&mut linker, |state: &mut State| {
            WasiConfig::from(&state.config)
        })?;
        auth::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        session::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        let component = Component::from_file(&engine, component)?;
        let pre = PluginPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, pre })
    }

    /// Calls a tool in a fresh store and instance; gives its structured content.
    pub(crate) async fn call(&self, tool: &str, arguments: &str) -> Result<Value> {
        self.ready().await?.call(tool, arguments).await
    }

    /// A fresh store and instance.
    pub(crate) async fn ready(&self) -> Result<Ready> {
        let mut store = Store::new(&self.engine, State::default());
        store.epoch_deadline_async_yield_and_update(1);
        let plugin = self.pre.instantiate_async(&mut store).await?;
        Ok(Ready { store, plugin })
    }
}

/// An instance that waits for its call.
pub(crate) struct Ready {
    store: Store<State>,
    plugin: Plugin,
}

impl Ready {
    /// Calls a tool; gives its structured content.
    pub(crate) async fn call(&mut self, tool: &str, arguments: &str) -> Result<Value> {
        let context = CallContext {
            thread: "bench".into(),
            profile: "default".into(),
            deadline: 0,
        };
        let guest: &exports::holster::plugin::tool::Guest = self.plugin.holster_plugin_tool();
        let output = guest
            .call_call(&mut self.store, tool, arguments, &context)
            .await?;
        match &output?.content[..] {
            [Content::Structured(text)] => Ok(serde_json::from_str(text)?),
            other => wasmtime::bail!("no structured content: {other:?}"),
        }
    }
}

/// As `host/runtime/src/engine.rs` has it: only so is the difference Holster's own.
fn config() -> Config {
    const CALLS: u32 = 512;
    let swaps = std::fs::read_to_string("/proc/swaps");
    let scans = PoolingAllocationConfig::is_pagemap_scan_available()
        && swaps.is_ok_and(|places| places.lines().count() <= 1);
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(CALLS)
        .total_core_instances(CALLS * 64)
        .total_memories(CALLS * 2)
        .total_tables(CALLS * 4)
        .total_stacks(CALLS)
        .max_core_instances_per_component(64)
        .max_memories_per_component(4)
        .max_tables_per_component(32)
        .max_memory_size(512 << 20)
        .table_elements(64 << 10)
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(4 << 20)
        .max_unused_warm_slots(32)
        .linear_memory_keep_resident(if scans { 8 << 20 } else { 0 })
        .table_keep_resident(512 << 10)
        .async_stack_keep_resident(64 << 10);
    if scans {
        pooling.pagemap_scan(Enabled::Yes);
    }
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(1 << 20)
        .async_stack_size(2 << 20)
        .memory_init_cow(true)
        .generate_address_map(false)
        .native_unwind_info(false)
        .concurrency_support(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pooling));
    config
}

/// What a store must hold to link the world at all.
#[derive(Default)]
struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    closed: Closed,
    config: WasiConfigVariables,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.closed,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// Sends nothing.
#[derive(Default)]
struct Closed;

type Ended = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Closed {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Ended,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Ended), Error>> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}

/// There is none, so that there is no handle to one.
#[allow(unreachable_pub, reason = "named by the generated bindings")]
pub enum NoCredential {}

type Handle = Resource<NoCredential>;

impl auth::Host for State {
    async fn get(&mut self, provider: String) -> Result<Result<Handle, AuthError>> {
        Ok(Err(AuthError::NotDeclared(provider)))
    }
}

impl HostCredential for State {
    async fn provider(&mut self, handle: Handle) -> Result<String> {
        match *self.table.get(&handle)? {}
    }

    async fn profile(&mut self, handle: Handle) -> Result<String> {
        match *self.table.get(&handle)? {}
    }

    async fn account(&mut self, handle: Handle) -> Result<Option<String>> {
        match *self.table.get(&handle)? {}
    }

    async fn scopes(&mut self, handle: Handle) -> Result<Vec<String>> {
        match *self.table.get(&handle)? {}
    }

    async fn expires_at(&mut self, handle: Handle) -> Result<Option<u64>> {
        match *self.table.get(&handle)? {}
    }

    async fn token(&mut self, handle: Handle) -> Result<String> {
        match *self.table.get(&handle)? {}
    }

    async fn header(&mut self, handle: Handle) -> Result<AuthHeader> {
        match *self.table.get(&handle)? {}
    }

    async fn sign(
        &mut self,
        handle: Handle,
        _: SignAlgorithm,
        _: Vec<u8>,
    ) -> Result<Result<Vec<u8>, AuthError>> {
        match *self.table.get(&handle)? {}
    }

    async fn drop(&mut self, handle: Handle) -> Result<()> {
        match self.table.delete(handle)? {}
    }
}

/// Nobody listens.
impl session::Host for State {
    async fn log(&mut self, _: Level, _: String) -> Result<()> {
        Ok(())
    }

    async fn progress(&mut self, _: f64, _: Option<f64>, _: Option<String>) -> Result<()> {
        Ok(())
    }

    async fn ask(&mut self, _: String, _: String) -> Result<Result<Answer, AskError>> {
        Ok(Err(AskError::Unsupported("nobody listens".to_owned())))
    }
}
