//! The engine: one for a process, tuned for many short calls in fresh instances.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::background::cores;
use crate::call::CallError;
use crate::clock::Clock;
use crate::limits::Limits;
use crate::spares::SPARES;
use crate::state::CallState;
use crate::swap::NoSwap;

/// Stack of a guest. CPython needs about half of it for its own recursion limit.
const WASM_STACK_BYTES: usize = 1 << 20;
/// Stack of a call: the guest's and the host functions'.
const ASYNC_STACK_BYTES: usize = 2 << 20;
/// Core instances of one component: CPython's has over twenty.
pub(crate) const CORE_INSTANCES: u32 = 64;
pub(crate) const MEMORIES: u32 = 4;
pub(crate) const TABLES: u32 = 32;
/// Slots that keep their memory's pages when they are free: as many as are used at once by calls that wait for nothing.
const WARM_SLOTS: u32 = 4;

/// How the engine allocates.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Calls that run at the same time; more wait for their turn. 1 to 10,000.
    pub concurrent_calls: u32,
    /// Reserve address space for all of them at the start. Without it, or where the system gives no such space,
    /// every call maps its own memory, which is slower.
    pub pooling: bool,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            concurrent_calls: 512,
            pooling: true,
        }
    }
}

/// Why the runtime does not start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RuntimeError {
    #[error("the engine does not start: {0}")]
    Engine(String),
    #[error(
        "cannot use the code cache in {}: {error}; see that the folder can be written to",
        .directory.display()
    )]
    Cache {
        directory: PathBuf,
        error: std::io::Error,
    },
}

/// The engine with what belongs to it: host functions, slots for calls, the clock.
pub(crate) struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Linker<CallState>,
    /// How many calls may run at the same time.
    calls: usize,
    cores: usize,
    /// One permit for each call that may run at the same time.
    pub(crate) slots: Arc<Semaphore>,
    /// One permit for each instance that may wait for a call.
    pub(crate) spare_slots: Arc<Semaphore>,
    /// One permit for each call that may wait for a person: a quarter of the slots, so that questions that nobody
    /// answers leave room for calls.
    pub(crate) questions: Arc<Semaphore>,
    /// One permit for each component that may be compiled at the same time.
    pub(crate) compilers: Arc<Semaphore>,
    pub(crate) clock: Clock,
    /// What finding the memory that a call wrote to rests on, if a call's memory is found so.
    no_swap: Option<NoSwap>,
}

impl Engine {
    pub(crate) fn start(settings: &EngineSettings) -> Result<Self, RuntimeError> {
        let failed = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let calls = settings.concurrent_calls.clamp(1, 10_000);
        // wasmtime 48 passes over what a guest wrote and the system then moved out of memory: the next guest would find it.
        let scans = settings.pooling && PoolingAllocationConfig::is_pagemap_scan_available();
        let mut no_swap = scans.then(NoSwap::so_far).flatten();
        let wasmtime = if settings.pooling {
            let pool = pooling(calls + SPARES, no_swap.is_some());
            undivided(&config(Some(pool))).or_else(|error| {
                tracing::warn!("no address space for a pool of {calls} instances, allocating on demand: {error:#}");
                no_swap = None;
                wasmtime::Engine::new(&config(None))
            })
        } else {
            wasmtime::Engine::new(&config(None))
        }
        .map_err(failed)?;
        let linker = crate::state::linker(&wasmtime).map_err(failed)?;
        let cores = cores();
        let clock = Clock::start(&wasmtime, cores)
            .map_err(|error| RuntimeError::Engine(format!("no thread for its clock: {error}")))?;
        let calls = calls as usize;
        Ok(Self {
            wasmtime,
            linker,
            calls,
            cores,
            slots: Arc::new(Semaphore::new(calls)),
            spare_slots: Arc::new(Semaphore::new(SPARES as usize)),
            questions: Arc::new(Semaphore::new((calls / 4).max(1))),
            compilers: Arc::new(Semaphore::new(cores)),
            clock,
            no_swap,
        })
    }

    /// Whether an instance begins with the memory of its component alone, whatever others left in its place.
    pub(crate) fn ready(&self) -> Result<(), CallError> {
        match &self.no_swap {
            Some(no_swap) if !no_swap.is_true_still() => Err(CallError::SwapAdded),
            _ => Ok(()),
        }
    }

    /// Whether there are more calls than cores. What one that ends puts off then is not done any sooner, and takes memory.
    pub(crate) fn is_busy(&self) -> bool {
        self.calls - self.slots.available_permits() > self.cores
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(crate) fn linker(&self) -> &Linker<CallState> {
        &self.linker
    }
}

/// An engine whose pool is one. wasmtime divides it into as many parts as it sees cores, and a thread looks in its own part
/// alone: what one has left warm, another would not find, and a component would have as many warm slots more.
fn undivided(config: &Config) -> wasmtime::Result<wasmtime::Engine> {
    #[cfg(target_os = "linux")]
    {
        let start = || {
            if let Err(error) = see_one_core() {
                tracing::debug!("the pool of instances is divided: {error}");
            }
            wasmtime::Engine::new(config)
        };
        std::thread::scope(|scope| scope.spawn(start).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
    #[cfg(not(target_os = "linux"))]
    wasmtime::Engine::new(config)
}

/// From now on, for this thread.
#[cfg(target_os = "linux")]
fn see_one_core() -> rustix::io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let all = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    if let Some(first) = (0..CpuSet::MAX_CPU).find(|&core| all.is_set(core)) {
        one.set(first);
    }
    sched_setaffinity(None, &one)
}

fn config(pool: Option<PoolingAllocationConfig>) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .memory_init_cow(true)
        // Where in a module a trap was is for no one to read; the names of functions stay. Nothing unwinds through a guest
        // but wasmtime, which needs no tables for that: to register those of an interpreter reads all of them.
        .generate_address_map(false)
        .native_unwind_info(false)
        // Tools are WASI 0.2: nothing of the async component model is linked, and its bookkeeping costs each call.
        .concurrency_support(false);
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// Space for so many calls, running or to come. `scans`: whether to look for the memory that a call wrote to.
fn pooling(calls: u32, scans: bool) -> PoolingAllocationConfig {
    let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES))
        .total_memories(calls.saturating_mul(2))
        .total_tables(calls.saturating_mul(4))
        .total_stacks(calls)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memory_size(bytes(Limits::CEILING.memory_bytes))
        .table_elements(bytes(Limits::default().table_elements))
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(4 << 20)
        .max_unused_warm_slots(WARM_SLOTS)
        // Without a scan for what was written, a call would pay for all that is kept.
        .linear_memory_keep_resident(if scans { 8 << 20 } else { 0 })
        .table_keep_resident(512 << 10)
        .async_stack_keep_resident(64 << 10);
    if scans {
        pooling.pagemap_scan(Enabled::Yes);
    }
    pooling
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use wasmtime::{Instance, Module, Store};

    use super::*;

    #[test]
    fn what_one_thread_leaves_warm_another_finds() {
        let engine = undivided(&config(Some(pooling(512, false)))).unwrap();
        let module = wat::parse_str("(module (memory 1))").unwrap();
        let module = Module::new(&engine, module).unwrap();
        for _ in 0..8 {
            let call = || {
                let mut store = Store::new(&engine, ());
                store.set_epoch_deadline(1);
                Instance::new(&mut store, &module, &[]).unwrap();
            };
            std::thread::scope(|scope| scope.spawn(call).join().unwrap());
        }
        let pool = engine.pooling_allocator_metrics().unwrap();
        assert_eq!(pool.unused_warm_memories(), 1);
    }
}
