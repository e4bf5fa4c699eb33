//! One call: a fresh instance, the grants inside, a deadline outside.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use holster_types::{
    ComponentHash, Grant, HostRule, ProfileName, ProviderId, TenantId, ThreadId, ToolName,
};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{Store, Trap};

use crate::Runtime;
use crate::auth::TooManyHostCalls;
use crate::background::{compute, in_background};
use crate::bindings::{Plugin, PluginPre, wit_tool};
use crate::clock::{Beginning, Turns, unknown};
use crate::egress::{Speaker, Visits};
use crate::engine::Engine;
use crate::files::TooMuchWritten;
use crate::folders::{self, Folder, MissingFolder};
use crate::leak::{Leak, LeakWatch};
use crate::limits::Limits;
use crate::loaded::LoadedComponent;
use crate::sealing::Sealed;
use crate::session::{CallSession, Session};
use crate::spares::Taken;
use crate::state::{CallState, Refused, Surroundings};
use crate::tool::{InvalidOutput, ToolError, ToolOutput, size_of};

/// An answer of so many bytes is checked at once. One that has more keeps no thread from other calls meanwhile.
const SHORT: usize = 256 << 10;

/// What an operator allows a component, beyond the hosts of its grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Hosts that it may reach, or parts of them. Of a host of a provider, one that is named here is narrowed to that part.
    /// Secrets still go to the hosts of their providers only.
    pub hosts: Vec<HostRule>,
    /// Settings for `wasi:config`.
    pub config: BTreeMap<String, String>,
    /// Folders of this machine that it may use.
    pub folders: Vec<Folder>,
    /// Providers whose variables are set in the environment: sealed, unless also revealed.
    pub environment: Vec<ProviderId>,
    /// Providers whose secrets the guest may see.
    pub revealed: Vec<ProviderId>,
    /// What it may use.
    pub limits: Limits,
}

/// For whom a call runs.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The user. The guest does not learn who it is.
    pub tenant: TenantId,
    /// The conversation.
    pub thread: ThreadId,
    /// The profile whose accounts serve the call.
    pub profile: ProfileName,
}

/// A call, ready to run: the arguments were checked, the grants resolved.
#[derive(Debug)]
pub struct Invocation<'a> {
    /// Which tool.
    pub tool: &'a ToolName,
    /// A JSON object that satisfies the tool's input schema.
    pub arguments: String,
    /// For whom.
    pub context: &'a CallContext,
    /// One for each requirement of the tool.
    pub grants: Vec<Grant>,
    /// The component that they were given for; another one does not get them.
    pub granted_to: ComponentHash,
    /// What the component may do.
    pub sandbox: &'a Sandbox,
    /// Who hears the guest while it runs, and can be asked. `None`: nobody.
    pub session: Option<Arc<dyn Session>>,
}

/// A request that a guest sent, or tried to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostVisit {
    /// `scheme://host:port`.
    pub origin: String,
    /// The HTTP method.
    pub method: String,
    /// Why it did not leave, if it did not.
    pub refused: Option<String>,
    /// The provider whose secret it carried.
    pub provider: Option<ProviderId>,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// Whether the service no longer accepts what the request carried: it said 401, and wants no nonce.
    pub rejected: bool,
}

/// How a call ended, and what it did.
#[derive(Debug)]
pub struct Report {
    /// The answer, or why there is none.
    pub result: Result<ToolOutput, CallError>,
    /// The requests, in their order.
    pub visits: Vec<HostVisit>,
    /// From the start of the instance to the end of the call.
    pub duration: Duration,
}

/// Why a call gave no answer. The messages are for the agent and the person; a backtrace is only in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CallError {
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("the tool did not answer within its {} s; allow it more with the limit `time_ms`", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("the tool needs more than its {} MiB of memory; allow it more with the limit `memory_bytes`", .0 >> 20)]
    OutOfMemory(u64),
    #[error(
        "the tool needs more than its {0} table elements; allow it more with the limit `table_elements`"
    )]
    OutOfTable(u64),
    #[error("the tool recursed too deeply")]
    StackOverflow,
    #[error(
        "the tool's answer is larger than {0} bytes; allow it more with the limit `output_bytes`"
    )]
    OutputTooLarge(u64),
    #[error(
        "the tool called the host more than {0} times; allow it more with the limit `host_calls`"
    )]
    TooManyHostCalls(u32),
    #[error(
        "the tool writes more than its {0} bytes into its folders; allow it more with the limit `file_bytes`"
    )]
    TooMuchWritten(u64),
    #[error(transparent)]
    NoFolder(Box<MissingFolder>),
    #[error("the tool ended its own process instead of answering")]
    Exited,
    #[error("the tool crashed: {0}")]
    Trapped(String),
    #[error("the tool broke its contract: {0}")]
    InvalidOutput(String),
    #[error("the component changed while its accounts were looked up; call the tool again")]
    OtherComponent,
    #[error(
        "this machine was given swap space while Holster ran, where what a call leaves could be found by another; start \
         Holster again"
    )]
    SwapAdded,
    #[error("{0}")]
    LeakedSecret(Leak),
}

impl CallError {
    /// The error in a word that stays as it is, for what is counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tool(error) => error.kind(),
            Self::TimedOut(_) => "timed_out",
            Self::OutOfMemory(_) => "out_of_memory",
            Self::OutOfTable(_) => "out_of_table",
            Self::StackOverflow => "stack_overflow",
            Self::OutputTooLarge(_) => "output_too_large",
            Self::TooManyHostCalls(_) => "too_many_host_calls",
            Self::TooMuchWritten(_) => "too_much_written",
            Self::NoFolder(_) => "no_folder",
            Self::Exited => "exited",
            Self::Trapped(_) => "crashed",
            Self::InvalidOutput(_) => "broken_contract",
            Self::OtherComponent => "component_changed",
            Self::SwapAdded => "swap_added",
            Self::LeakedSecret(_) => "leaked_secret",
        }
    }
}

impl Runtime {
    /// Whether calls run at all. Where not, none does until the process starts again.
    pub fn ready(&self) -> Result<(), CallError> {
        self.engine.ready()
    }

    /// Runs one tool of a component in an instance that serves no other call. Dropping the future ends the call: the
    /// guest's code, its host functions, its requests.
    pub async fn call(
        &self,
        component: &Arc<LoadedComponent>,
        invocation: Invocation<'_>,
    ) -> Report {
        let place = self.place().await;
        let start = Instant::now();
        let visits = Arc::new(Visits::default());
        // In a box: whoever calls moves its future about, and this is nearly all of it.
        let run = Box::pin(self.run(component, invocation, Arc::clone(&visits), place));
        let result = run.await;
        Report {
            result,
            visits: visits.take(),
            duration: start.elapsed(),
        }
    }

    async fn run(
        &self,
        component: &Arc<LoadedComponent>,
        invocation: Invocation<'_>,
        visits: Arc<Visits>,
        place: OwnedSemaphorePermit,
    ) -> Result<ToolOutput, CallError> {
        let Invocation {
            tool,
            arguments,
            context,
            grants,
            granted_to,
            sandbox,
            session,
        } = invocation;
        if granted_to != *component.hash() {
            return Err(CallError::OtherComponent);
        }
        let limits = &sandbox.limits;
        let grants: Arc<[Sealed]> = grants
            .into_iter()
            .map(|grant| {
                let revealed = sandbox.revealed.contains(&grant.provider);
                Sealed::seal(grant, revealed)
            })
            .collect();
        let speaker = Speaker::new(granted_to, context.tenant.clone(), &grants);
        let watch = LeakWatch::new(grants, &self.needles);
        let session = session
            .map(|session| CallSession::new(session, &watch, limits, &self.engine.questions));
        let surroundings = Surroundings {
            tool: tool.as_str(),
            watch: &watch,
            sandbox,
            wasi: folders::opened(sandbox).await?,
            egress: self.egress.for_call(Some(speaker), &watch, sandbox, visits),
        };
        let mut instance = self.instance(component, surroundings, place).await;
        instance.store.data_mut().session = session;
        let context = wit_tool::CallContext {
            thread: context.thread.to_string(),
            profile: context.profile.to_string(),
            deadline: deadline(limits.time),
        };
        let guest = Guest {
            component: Arc::clone(component),
            tool: tool.clone(),
            arguments,
            context,
            limits: limits.clone(),
            engine: Arc::clone(&self.engine),
        };
        let answer = if instance.turns.computes() {
            let watch = Arc::clone(&watch);
            let guest = Box::pin(async move {
                let answer = guest.answer(&mut instance).await;
                watch.look_at_the_rest();
                // What it has filled takes long to clear away, too.
                drop(instance);
                answer
            });
            compute(guest).await
        } else {
            let answer = guest.answer(&mut instance).await;
            watch.look_at_the_rest();
            self.clear_away(component, sandbox, instance);
            answer
        };
        let answer = checked(answer, &watch, limits.output_bytes).await;
        // However the guest ended, nothing of it counts once it had a secret that it was not given.
        match watch.found() {
            Some(leak) => Err(CallError::LeakedSecret(leak.clone())),
            None => answer,
        }
    }
}

/// One call of a tool, as its guest gets it.
struct Guest {
    component: Arc<LoadedComponent>,
    tool: ToolName,
    arguments: String,
    context: wit_tool::CallContext,
    limits: Limits,
    engine: Arc<Engine>,
}

type Answer = Result<wit_tool::ToolOutput, wit_tool::ToolError>;

impl Guest {
    async fn answer(self, instance: &mut Instance) -> Result<Answer, CallError> {
        let made = instance.plugin.take();
        within(
            &self.engine,
            &mut instance.store,
            &instance.turns,
            &self.limits,
            async |store| {
                let plugin = match made {
                    Some(made) => made,
                    None => self.component.pre.instantiate_async(&mut *store).await?,
                };
                let tool = plugin.holster_plugin_tool();
                tool.call_call(store, self.tool.as_str(), &self.arguments, &self.context)
                    .await
            },
        )
        .await
    }
}

/// What a call runs in.
pub(crate) struct Instance {
    store: Store<CallState>,
    /// Made by the call itself where it is not there yet.
    plugin: Option<Plugin>,
    pub(crate) turns: Arc<Turns>,
    /// That of the call, and that of an instance which waited for it. They come last: a place is free only once nothing
    /// is in it.
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

impl Runtime {
    /// A place in the engine for one call.
    async fn place(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.engine.slots)
            .acquire_owned()
            .await
            .expect("the slots are never closed")
    }

    /// What a call runs in: made before, or a store to make it in.
    async fn instance(
        &self,
        component: &LoadedComponent,
        surroundings: Surroundings<'_>,
        place: OwnedSemaphorePermit,
    ) -> Instance {
        let limits = &surroundings.sandbox.limits;
        let computes = component.computes(surroundings.tool);
        let mut beginning = self.begin(&computes).await;
        let spare = match component.spares.take(surroundings.sandbox) {
            Some(Taken::There(spare)) => Some(spare),
            Some(Taken::OnItsWay(spare)) => {
                // However long it is on its way, this keeps no others from beginning: who makes it has begun.
                drop(beginning);
                let spare = spare.await.ok();
                let handed_over = spare.as_ref().and_then(|spare| spare.turns.hand_over());
                beginning = match handed_over.filter(|_| !computes.load(Ordering::Relaxed)) {
                    None => self.begin(&computes).await,
                    handed_over => handed_over,
                };
                spare
            }
            None => None,
        };
        if let Some(mut spare) = spare {
            let state = CallState::taking_over(spare.store.data(), surroundings);
            *spare.store.data_mut() = state;
            let turns = self.limit(&mut spare.store, &computes, beginning, limits);
            return Instance {
                store: spare.store,
                plugin: Some(spare.plugin),
                turns,
                _places: (place, Some(spare.place)),
            };
        }
        let state = CallState::new(surroundings);
        let (store, turns) = self.store(state, &computes, beginning, limits);
        Instance {
            store,
            plugin: None,
            turns,
            _places: (place, None),
        }
    }

    /// Waits until one more guest may begin, of a tool whose last call computed for long, or did not.
    pub(crate) async fn begin(&self, computes: &AtomicBool) -> Beginning {
        self.engine
            .clock
            .begin(computes.load(Ordering::Relaxed))
            .await
    }

    /// A store for one call.
    pub(crate) fn store(
        &self,
        state: CallState,
        computes: &Arc<AtomicBool>,
        beginning: Beginning,
        limits: &Limits,
    ) -> (Store<CallState>, Arc<Turns>) {
        let mut store = Store::new(self.engine.wasmtime(), state);
        store.limiter(|state| &mut state.limiter);
        let turns = self.limit(&mut store, computes, beginning, limits);
        (store, turns)
    }

    /// Begins a call in a store.
    pub(crate) fn limit(
        &self,
        store: &mut Store<CallState>,
        computes: &Arc<AtomicBool>,
        beginning: Beginning,
        limits: &Limits,
    ) -> Arc<Turns> {
        // What the guest may hand over in one go; an answer just above the limit still gets the clearer message.
        store.set_hostcall_fuel(
            usize::try_from(limits.output_bytes)
                .unwrap_or(usize::MAX)
                .saturating_add(1 << 20),
        );
        self.engine.clock.preempt(store, computes, beginning)
    }
}

/// What the guest answered, as what it may be. A secret in it is reported to `watch`.
async fn checked(
    answer: Result<Answer, CallError>,
    watch: &Arc<LeakWatch>,
    limit: u64,
) -> Result<ToolOutput, CallError> {
    let output = match answer? {
        Ok(output) => output,
        Err(error) => {
            watch.look_at_error(&error);
            return Err(ToolError::from(error).into());
        }
    };
    let is_short = size_of(&output) <= SHORT;
    let watch = Arc::clone(watch);
    let check = move || {
        watch.look_at_output(&output);
        let output = ToolOutput::from_guest(output, limit).map_err(|invalid| match invalid {
            InvalidOutput::TooLarge { limit, .. } => CallError::OutputTooLarge(limit),
            other => CallError::InvalidOutput(other.to_string()),
        })?;
        watch.look_at_structured(&output);
        Ok(output)
    };
    if is_short {
        check()
    } else {
        in_background(check).await
    }
}

/// Asks a component for its tools, in an instance of its own with these imports.
pub(crate) async fn discover(
    runtime: &Runtime,
    pre: &PluginPre<CallState>,
    state: CallState,
) -> Result<Vec<wit_tool::ToolDefinition>, CallError> {
    let place = runtime.place().await;
    let computes = unknown();
    let beginning = runtime.begin(&computes).await;
    let (store, turns) = runtime.store(state, &computes, beginning, &Limits::DISCOVERY);
    let (engine, pre) = (Arc::clone(&runtime.engine), pre.clone());
    let guest = Box::pin(async move {
        // Free only once nothing is in it.
        let _place = place;
        let mut store = store;
        let list = async |store: &mut Store<CallState>| {
            let plugin = pre.instantiate_async(&mut *store).await?;
            plugin.holster_plugin_tool().call_list_tools(store).await
        };
        within(&engine, &mut store, &turns, &Limits::DISCOVERY, list).await
    });
    compute(guest).await
}

/// Runs guest code in a store, until it ends or its time is over. All of it runs by this.
pub(crate) async fn within<T>(
    engine: &Engine,
    store: &mut Store<CallState>,
    turns: &Turns,
    limits: &Limits,
    guest: impl AsyncFnOnce(&mut Store<CallState>) -> wasmtime::Result<T>,
) -> Result<T, CallError> {
    let clock = store.data().session.as_ref().map(CallSession::clock);
    let _running = engine.clock.run();
    let ended = {
        let guest = async {
            // No sooner: it may have waited for its turn, and its instance may be made by this.
            engine.ready()?;
            Ok::<_, CallError>(guest(store).await)
        };
        let guest = pin!(turns.keep(guest));
        match clock {
            None => tokio::time::timeout(limits.time, guest).await.ok(),
            Some(clock) => tokio::select! {
                biased;
                ended = guest => Some(ended),
                () = clock.over() => None,
            },
        }
    };
    match ended {
        None => Err(CallError::TimedOut(limits.time)),
        Some(Err(refused)) => Err(refused),
        Some(Ok(Ok(value))) => Ok(value),
        Some(Ok(Err(error))) => Err(explain(&error, store.data(), limits)),
    }
}

/// The short sentence for a failure, from its cause rather than its symptom. The whole of it goes to the log.
fn explain(error: &wasmtime::Error, state: &CallState, limits: &Limits) -> CallError {
    tracing::debug!(target: "holster::guest", "the guest failed: {error:?}");
    if error.is::<TooManyHostCalls>() {
        return CallError::TooManyHostCalls(limits.host_calls);
    }
    if error.is::<TooMuchWritten>() {
        return CallError::TooMuchWritten(limits.file_bytes);
    }
    let trap = error.downcast_ref::<Trap>();
    match (state.limiter.refused, trap) {
        (_, Some(Trap::StackOverflow)) => CallError::StackOverflow,
        // A language's runtime may end the process when it gets no memory: what it was refused is the cause.
        (Some(Refused::Memory), _) | (None, Some(Trap::AllocationTooLarge)) => {
            CallError::OutOfMemory(limits.memory_bytes)
        }
        (Some(Refused::Table), _) => CallError::OutOfTable(limits.table_elements),
        (None, Some(trap)) => CallError::Trapped(
            trap.to_string()
                .trim_start_matches("wasm trap: ")
                .to_owned(),
        ),
        (None, None) if error.is::<wasmtime_wasi::I32Exit>() => CallError::Exited,
        // wasmtime's own type for this is private.
        (None, None)
            if error
                .root_cause()
                .to_string()
                .contains("fuel allocated for hostcalls") =>
        {
            CallError::OutputTooLarge(limits.output_bytes)
        }
        (None, None) => CallError::Trapped(first_line(&error.root_cause().to_string())),
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}

/// Milliseconds since the Unix epoch.
fn deadline(time: Duration) -> u64 {
    let end = SystemTime::now() + time;
    end.duration_since(UNIX_EPOCH)
        .map_or(0, |end| u64::try_from(end.as_millis()).unwrap_or(u64::MAX))
}
