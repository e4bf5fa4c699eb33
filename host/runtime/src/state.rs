//! What a call holds while it runs, and what it may grow to.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bindings::{wit_auth, wit_session};
use crate::call::Sandbox;
use crate::egress::{CallEgress, Egress};
use crate::engine::{CORE_INSTANCES, MEMORIES, TABLES};
use crate::files::{self, Files};
use crate::guest_log::GuestLog;
use crate::leak::{LeakWatch, NeedleCache};
use crate::limits::Limits;
use crate::sealing::Sealed;
use crate::session::CallSession;

/// Resources (streams, requests, credentials) that a call may hold at the same time.
const RESOURCES: usize = 10_000;

/// The data of a call's store.
pub(crate) struct CallState {
    made_at: Instant,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    egress: CallEgress,
    config: WasiConfigVariables,
    pub(crate) files: Files,
    pub(crate) grants: Arc<[Sealed]>,
    /// `None` where nobody listens.
    pub(crate) session: Option<CallSession>,
    pub(crate) host_calls_left: u32,
    pub(crate) limiter: Limiter,
}

/// What surrounds an instance.
pub(crate) struct Surroundings<'a> {
    /// The name under which it is logged.
    pub(crate) tool: &'a str,
    pub(crate) watch: &'a Arc<LeakWatch>,
    pub(crate) sandbox: &'a Sandbox,
    /// With the folders of the sandbox, and nothing else.
    pub(crate) wasi: WasiCtxBuilder,
    pub(crate) egress: CallEgress,
}

impl CallState {
    /// The state of a real call.
    pub(crate) fn new(surroundings: Surroundings<'_>) -> Self {
        Self::since(Instant::now(), surroundings)
    }

    /// The state of a call whose instance was made before, under the same limits: its clock goes on, and what it took
    /// counts.
    pub(crate) fn taking_over(before: &Self, surroundings: Surroundings<'_>) -> Self {
        let mut state = Self::since(before.made_at, surroundings);
        state.limiter = Limiter {
            refused: None,
            ..before.limiter
        };
        state
    }

    fn since(made_at: Instant, mut surroundings: Surroundings<'_>) -> Self {
        let Surroundings {
            watch,
            sandbox,
            wasi,
            ..
        } = &mut surroundings;
        wasi.monotonic_clock(Since(made_at));
        for sealed in watch.grants().iter() {
            if sandbox.environment.contains(&sealed.grant.provider) {
                for (name, value) in sealed.environment() {
                    wasi.env(name, value);
                }
            }
        }
        Self::with(made_at, surroundings)
    }

    /// The state of `list-tools`: imports that do nothing, clocks that stand still, randomness that repeats.
    pub(crate) fn discovery(egress: &Egress, needles: &NeedleCache) -> Self {
        let sandbox = Sandbox {
            limits: Limits::DISCOVERY,
            ..Sandbox::default()
        };
        let mut wasi = WasiCtxBuilder::new();
        wasi.wall_clock(StoppedClock)
            .monotonic_clock(StoppedClock)
            .secure_random(wasmtime_wasi::random::Deterministic::new(vec![0]))
            .insecure_random(wasmtime_wasi::random::Deterministic::new(vec![0]))
            .insecure_random_seed(0);
        let watch = LeakWatch::new(Arc::new([]), needles);
        let surroundings = Surroundings {
            tool: "list-tools",
            watch: &watch,
            sandbox: &sandbox,
            wasi,
            egress: egress.for_call(None, &watch, &sandbox, Arc::default()),
        };
        Self::with(Instant::now(), surroundings)
    }

    fn with(made_at: Instant, surroundings: Surroundings<'_>) -> Self {
        let Surroundings {
            tool,
            watch,
            sandbox,
            mut wasi,
            egress,
        } = surroundings;
        let limits = &sandbox.limits;
        let (stdout, stderr) = GuestLog::new(tool, limits.log_bytes, watch);
        wasi.stdout(stdout)
            .stderr(stderr)
            .max_random_size(1 << 20)
            .allow_tcp(false)
            .allow_udp(false);
        let settings = sandbox.config.iter();
        let settings = settings.map(|(name, value)| (name.clone(), value.clone()));
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        Self {
            made_at,
            table,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            egress,
            config: settings.collect(),
            files: Files::new(limits.file_bytes, watch),
            grants: Arc::clone(watch.grants()),
            session: None,
            host_calls_left: limits.host_calls,
            limiter: Limiter::new(limits),
        }
    }

    /// Whether the guest holds nothing of the host.
    pub(crate) fn is_untouched(&self) -> bool {
        self.table.is_empty()
    }

    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.egress,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// All host functions. Sockets are among them because CPython's C library imports them; nothing allows their use.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    files::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, |state: &mut CallState| {
        WasiConfig::from(&state.config)
    })?;
    wit_auth::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    wit_session::add_to_linker::<CallState, HasSelf<CallState>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Nanoseconds since an instance was made.
struct Since(Instant);

impl HostMonotonicClock for Since {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A clock for `list-tools`, whose answer must not depend on the time.
struct StoppedClock;

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> std::time::Duration {
        std::time::Duration::from_secs(1)
    }

    fn now(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Counts what an instance takes, and remembers what it was refused: a guest that gets no memory traps with a
/// message of its own, and the caller should still learn the cause.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_left: u64,
    table_left: u64,
    pub(crate) refused: Option<Refused>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Memory,
    Table,
}

impl Limiter {
    fn new(limits: &Limits) -> Self {
        Self {
            memory_left: limits.memory_bytes,
            table_left: limits.table_elements,
            refused: None,
        }
    }

    /// Takes what a memory or a table grows by. `maximum` is the guest's own wish, or the pool's.
    fn grow(left: &mut u64, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        let growth = desired.saturating_sub(current) as u64;
        let fits = growth <= *left && maximum.is_none_or(|maximum| desired <= maximum);
        if fits {
            *left -= growth;
        }
        fits
    }
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = Self::grow(&mut self.memory_left, current, desired, maximum);
        if !fits {
            self.refused = Some(Refused::Memory);
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = Self::grow(&mut self.table_left, current, desired, maximum);
        if !fits {
            self.refused = Some(Refused::Table);
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}
