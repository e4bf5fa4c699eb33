//! The server: what a client asks, and who answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{HeaderMap, HeaderName};
use holster_core::types::{ProfileName, SPANS, ToolName};
use holster_core::{Call, Caller, CatalogueView, GoOn, Host, Outcome, ProfileChoice, Unanswered};
#[expect(deprecated, reason = "clients of today set a level")]
use rmcp::model::SetLevelRequestParams;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Extensions, Implementation, InputRequiredResult,
    InputResponses, JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler};
use tokio::runtime::Handle;
use tracing::{Instrument as _, Span, info_span};

use crate::answer;
use crate::answer::internal;
use crate::interrupt::{self, ConnectPages, Next};
use crate::listing::{self, PROFILE_ARGUMENT};
use crate::resumption::{self, Kind};
use crate::running::{Running, Step, Waiting, WaitingCalls};
use crate::session::{self, ANSWER, Asks, Client, WantedLevel};

/// How long a list waits for components that are still being compiled. What comes later is announced.
const LOADING: Duration = Duration::from_secs(10);

/// What a client says of its trace (W3C Trace Context).
const TRACE_CONTEXT: [&str; 2] = ["traceparent", "tracestate"];

/// How often it is looked whether a client that gets announcements is still there.
const LOOK: Duration = Duration::from_secs(30);

const INSTRUCTIONS: &str = "Tools that may act for a person with the accounts that they connected. A tool that lacks an \
    account is not called; its answer says which page the person has to open. Never ask for passwords or keys in the \
    conversation.";

/// A server of the host's tools. Clones are the same server.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    callers: CallerSource,
    /// Which messages the client of this session wants.
    level: WantedLevel,
}

/// How a server knows for whom a request is.
#[derive(Debug, Clone)]
pub enum CallerSource {
    /// All are for the same.
    One(Caller),
    /// Each HTTP request brings its own among its extensions, put there by who admitted it.
    OfRequest,
}

impl CallerSource {
    fn of(&self, extensions: &Extensions) -> Result<Caller, ErrorData> {
        let found = match self {
            Self::One(caller) => Some(caller),
            Self::OfRequest => extensions
                .get::<::http::request::Parts>()
                .and_then(|parts| parts.extensions.get()),
        };
        found.cloned().ok_or_else(|| {
            ErrorData::internal_error("nobody has said for whom this request is", None)
        })
    }
}

/// What a call is within, in a trace: its HTTP request, put among the extensions by who admitted that, or what the client names
/// in `_meta` (SEP-414).
fn span_of(context: &RequestContext<RoleServer>, go_on: GoOn) -> Span {
    let parts = context.extensions.get::<::http::request::Parts>();
    let request = parts.and_then(|parts| parts.extensions.get::<Span>());
    let named: HeaderMap = TRACE_CONTEXT
        .into_iter()
        .filter_map(|name| {
            let value = context.meta.get(name)?.as_str()?.parse().ok()?;
            Some((HeaderName::from_static(name), value))
        })
        .collect();
    if named.is_empty() {
        return request.cloned().unwrap_or_else(Span::none);
    }
    let span = info_span!(target: SPANS, "tools/call", otel.kind = "server");
    go_on(&span, &named);
    span
}

struct Shared {
    host: Arc<Host>,
    pages: ConnectPages,
    /// Where calls run, so that a guest that computes never keeps a client's other requests waiting.
    calls: Handle,
    go_on: GoOn,
    listed: Mutex<Listed>,
    waiting: WaitingCalls,
}

/// The list, and of which catalogue it is.
#[derive(Default)]
struct Listed {
    of: Option<Arc<CatalogueView>>,
    tools: Arc<[Tool]>,
}

impl Server {
    /// A server whose calls run on `calls`; it should itself be served by another runtime.
    pub fn new(
        host: Arc<Host>,
        pages: ConnectPages,
        callers: CallerSource,
        calls: Handle,
        go_on: GoOn,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                host,
                pages,
                calls,
                go_on,
                listed: Mutex::default(),
                waiting: WaitingCalls::default(),
            }),
            callers,
            level: WantedLevel::default(),
        }
    }

    /// The same server for one more client, which sets its own level.
    pub(crate) fn for_client(&self) -> Self {
        Self {
            level: WantedLevel::default(),
            ..self.clone()
        }
    }

    fn host(&self) -> &Arc<Host> {
        &self.shared.host
    }

    /// The tools as they are now, for whichever caller.
    fn tools(&self) -> Arc<[Tool]> {
        let view = self.host().catalogue();
        let listed = &self.shared.listed;
        let mut listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
        if !listed.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &view)) {
            listed.tools = self.convert(&view, None).into();
            listed.of = Some(view);
        }
        Arc::clone(&listed.tools)
    }

    /// The tools once nothing is being compiled; whatever is not loaded in time is announced later.
    async fn loaded_tools(&self) -> Arc<[Tool]> {
        let _ = tokio::time::timeout(LOADING, self.host().settled()).await;
        self.tools()
    }

    fn convert(&self, view: &CatalogueView, profiles: Option<&[ProfileName]>) -> Vec<Tool> {
        let served = view.tools().map(|tool| tool.definition());
        let mut tools: Vec<_> = served
            .chain(self.host().built_in())
            .map(|definition| listing::tool(definition, profiles))
            .collect();
        tools.sort_by(|one, other| one.name.cmp(&other.name));
        tools
    }

    /// The profiles that the agent may choose from, where it may.
    async fn choices(&self, caller: &Caller) -> Result<Option<Vec<ProfileName>>, ErrorData> {
        if caller.profile != ProfileChoice::Agent {
            return Ok(None);
        }
        let profiles = self.host().broker().profiles(&caller.tenant).await;
        let profiles = profiles.map_err(internal)?;
        Ok(Some(
            profiles.into_iter().map(|profile| profile.name).collect(),
        ))
    }

    /// The call that a client asks for, with the profile that it may choose taken out of the arguments.
    async fn call_of(
        &self,
        caller: Caller,
        name: &str,
        mut arguments: JsonObject,
    ) -> Result<Call, ErrorData> {
        let tool = ToolName::new(name)
            .map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
        let profile = match &caller.profile {
            ProfileChoice::Usual => None,
            ProfileChoice::Fixed(profile) => Some(profile.clone()),
            ProfileChoice::Agent => match arguments.remove(PROFILE_ARGUMENT) {
                None => None,
                Some(chosen) => Some(self.chosen(&caller, &chosen).await?),
            },
        };
        Ok(Call {
            tenant: caller.tenant,
            thread: caller.thread,
            profile,
            tool,
            arguments,
            session: None,
        })
    }

    async fn chosen(
        &self,
        caller: &Caller,
        chosen: &serde_json::Value,
    ) -> Result<ProfileName, ErrorData> {
        let profiles = self.choices(caller).await?.unwrap_or_default();
        let own = |profile: &ProfileName| chosen.as_str() == Some(profile.as_str());
        profiles.into_iter().find(own).ok_or_else(|| {
            let message = format!("`{PROFILE_ARGUMENT}` names no profile of this user");
            ErrorData::invalid_params(message, None)
        })
    }

    /// Whether a call may have to be made twice, so that its arguments are kept.
    fn may_be_interrupted(&self, tool: &ToolName) -> bool {
        let view = self.host().catalogue();
        view.tool(tool)
            .is_none_or(|tool| !tool.definition().requirements.is_empty())
    }

    /// Runs a call, up to its outcome or to a question that the client answers by `kept`, the same call made again. It
    /// ends when this is dropped.
    async fn run(
        &self,
        call: Call,
        kept: Option<&Call>,
        client: &Client<'_>,
    ) -> Result<Ran, ErrorData> {
        let running = Running::start(self.host(), &self.shared.calls, call, client);
        self.go_on(running, kept, client).await
    }

    async fn go_on(
        &self,
        mut running: Running,
        kept: Option<&Call>,
        client: &Client<'_>,
    ) -> Result<Ran, ErrorData> {
        loop {
            let (question, reply) = match running.go_on(client).await.map_err(internal)? {
                Step::Over(outcome) => return Ok(Ran::Over(outcome)),
                Step::Asks(question, reply) => (question, reply),
            };
            let asked = session::request_of(&question).and_then(|request| {
                let call = kept.ok_or_else(|| {
                    Unanswered::Unsupported("the client cannot go on with this call".to_owned())
                })?;
                Ok((request, call))
            });
            let (request, call) = match asked {
                Ok(asked) => asked,
                Err(error) => {
                    let _ = reply.send(Err(error));
                    continue;
                }
            };
            let waiting = Waiting::new(running, reply, call.tenant.clone());
            let state = resumption::state_of(self.host(), call, Kind::Asked).await?;
            let Err(waiting) = self.shared.waiting.keep(&state, waiting) else {
                let requests = [(ANSWER.to_owned(), request)].into();
                let result = InputRequiredResult::new(Some(requests), Some(state));
                return Ok(Ran::Answer(result.into()));
            };
            let why = "as many calls of this user as may wait for an answer do so already";
            running = waiting.answered(Err(Unanswered::TooMany(why.to_owned())));
        }
    }

    /// Takes up a call that asked, with what its client brings.
    async fn take_up(
        &self,
        call: &Call,
        state: &str,
        mut responses: InputResponses,
        client: &Client<'_>,
    ) -> Result<Ran, ErrorData> {
        let Some(waiting) = self.shared.waiting.take(state) else {
            let message =
                "the call that asked this is over; call the tool again without `requestState`";
            return Err(ErrorData::invalid_params(message, None));
        };
        let answer = match responses.remove(ANSWER) {
            Some(response) => session::answer_in(response),
            None => Err(Unanswered::NoAnswer(
                "the client brought no answer".to_owned(),
            )),
        };
        self.go_on(waiting.answered(answer), Some(call), client)
            .await
    }

    async fn answer(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let CallToolRequestParams {
            name,
            arguments,
            input_responses,
            request_state,
            ..
        } = request;
        let caller = self.callers.of(&context.extensions)?;
        let arguments = arguments.unwrap_or_default();
        let call = self.call_of(caller, &name, arguments).await?;
        let client = Client::of(context, &self.level);
        match (request_state, input_responses) {
            (Some(state), responses) => {
                let kind = resumption::use_up(self.host(), &call, &state).await?;
                let responses = responses.unwrap_or_default();
                if kind == Kind::Asked {
                    let ran = self.take_up(&call, &state, responses, &client).await?;
                    return ran.told();
                }
                let refused = interrupt::take_up(self.host(), &call, &responses, context);
                if let Some(refused) = refused.await? {
                    return Ok(refused.into());
                }
            }
            (None, Some(_)) => {
                let message = "`inputResponses` come with the `requestState` that asked for them";
                return Err(ErrorData::invalid_params(message, None));
            }
            (None, None) => {}
        }
        let keeps = client.asks == Asks::ByResult || self.may_be_interrupted(&call.tool);
        let kept = keeps.then(|| call.clone());
        let outcome = match self.run(call, kept.as_ref(), &client).await? {
            Ran::Over(outcome) => outcome,
            Ran::Answer(answer) => return Ok(answer),
        };
        let (Outcome::Interrupted(interrupted), Some(call)) = (&outcome, &kept) else {
            return translate(outcome);
        };
        match interrupt::say(self.host(), &self.shared.pages, call, interrupted, context).await? {
            Next::Answer(answer) => Ok(answer),
            Next::CallAgain => self.run(call.clone(), Some(call), &client).await?.told(),
        }
    }

    /// Tells a client of every change of the list until it is gone.
    async fn announce(self, peer: Peer<RoleServer>) {
        let mut list = FollowedList::of(self).await;
        while !peer.is_transport_closed() {
            let told = match tokio::time::timeout(LOOK, list.changed()).await {
                Err(_) => continue,
                Ok(true) => peer.notify_tool_list_changed().await.is_ok(),
                Ok(false) => false,
            };
            if !told {
                return;
            }
        }
    }
}

/// The list as a client knows it, and what comes after.
struct FollowedList {
    server: Server,
    changes: tokio::sync::watch::Receiver<()>,
    known: Arc<[Tool]>,
}

impl FollowedList {
    async fn of(server: Server) -> Self {
        Self {
            changes: server.host().changes(),
            known: server.loaded_tools().await,
            server,
        }
    }

    /// Waits until the list is another one; `false` if it will not change any more. May be dropped at any time.
    async fn changed(&mut self) -> bool {
        while self.changes.changed().await.is_ok() {
            let now = self.server.tools();
            let is_other = *now != *self.known;
            self.known = now;
            if is_other {
                return true;
            }
        }
        false
    }
}

/// How far a call came in one request.
enum Ran {
    Over(Outcome),
    /// The answer of the request; the call itself waits for what comes next.
    Answer(CallToolResponse),
}

impl Ran {
    fn told(self) -> Result<CallToolResponse, ErrorData> {
        match self {
            Self::Over(outcome) => translate(outcome),
            Self::Answer(answer) => Ok(answer),
        }
    }
}

fn translate(outcome: Outcome) -> Result<CallToolResponse, ErrorData> {
    match outcome {
        Outcome::Finished(finished) => Ok(answer::finished(finished).into()),
        Outcome::Failed(failure) => answer::failed(&failure).map(Into::into),
        Outcome::Interrupted(interrupted) => Ok(answer::words(format!(
            "The tool `{}` was not called: {}",
            interrupted.tool, interrupted.unmet
        ))
        .into()),
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        #[expect(deprecated, reason = "clients of today read log messages")]
        let capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(
                Implementation::new("holster", env!("CARGO_PKG_VERSION")).with_title("Holster"),
            )
            .with_instructions(INSTRUCTIONS)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        tokio::spawn(self.clone().announce(context.peer));
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.loaded_tools().await;
        let caller = self.callers.of(&context.extensions)?;
        match self.choices(&caller).await? {
            None => listing::page(&tools, request),
            Some(profiles) => {
                let tools = self.convert(&self.host().catalogue(), Some(&profiles));
                listing::page(&tools, request)
            }
        }
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let span = span_of(&context, self.shared.go_on);
        // In a box: what serves the protocol moves its future about, of which this is nearly all.
        let answer = Box::pin(self.answer(request, &context));
        tokio::select! {
            answer = answer.instrument(span) => answer,
            // The guest's code, its host functions and its requests end with the future.
            () = context.ct.cancelled() => {
                Err(ErrorData::internal_error("the call was cancelled", None))
            }
        }
    }

    #[expect(deprecated, reason = "clients of today set a level")]
    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.level.set(request.level);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::default();
        accepted.tools_list_changed = requested.tools_list_changed;
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut list = FollowedList::of(self.clone()).await;
        loop {
            let told = tokio::select! {
                () = context.cancelled() => return Ok(()),
                changed = list.changed() => {
                    changed && context.sink().notify_tool_list_changed().await.is_ok()
                }
            };
            if !told {
                return Ok(());
            }
        }
    }
}
