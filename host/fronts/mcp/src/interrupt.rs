//! A call that waits for a person, said in the way that the client understands.
//!
//! Since 2026-07-28 the answer asks the client to send the person to a page, and holds a state to go on with. Clients of
//! 2025-11-25 that can show an address are asked while the call waits. All others get words: the address, and to call
//! again. The address is of this host's own page, holds no secret and authorises nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use holster_core::broker::{ConnectAddress, Connection, ConnectionState, Missing};
use holster_core::types::ConnectionId;
use holster_core::{Call, Host, Interrupted};
use rmcp::model::{
    CallToolResponse, CallToolResult, CustomNotification, ElicitRequest, ElicitRequestParams,
    ElicitationAction, InputRequest, InputRequests, InputRequiredResult, InputResponses,
    ProgressNotificationParam, ProtocolVersion, ServerNotification,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use crate::answer::{self, internal};
use crate::resumption::{self, Kind};

/// Under which name `_meta` says what is missing.
const INTERRUPT: &str = "holster/interrupt";

/// How long a call of an older client waits for the person; longer than a connection lives.
const PATIENCE: Duration = Duration::from_mins(11);

/// How long a call that goes on waits for the person before it asks again. Clients give up after some 60 s.
const PATIENCE_AGAIN: Duration = Duration::from_secs(25);

/// How often a waiting client is told that the call still lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Why there are no connect pages.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct PagesError(pub String);

type Find = dyn Fn() -> BoxFuture<'static, Result<ConnectAddress, PagesError>> + Send + Sync;

/// The connect pages: where they are, and that they are there.
#[derive(Clone)]
pub struct ConnectPages(Arc<Find>);

impl ConnectPages {
    /// Pages that are served as long as this server.
    pub fn at(address: ConnectAddress) -> Self {
        Self::when_needed(move || {
            let address = address.clone();
            Box::pin(async move { Ok(address) })
        })
    }

    /// Pages that `start` serves, or finds, when somebody has to be sent there.
    pub fn when_needed(
        start: impl Fn() -> BoxFuture<'static, Result<ConnectAddress, PagesError>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(start))
    }

    async fn address(&self) -> Result<ConnectAddress, PagesError> {
        (self.0)().await
    }
}

/// One account that a person is asked to connect.
struct Ask {
    connection: ConnectionId,
    message: String,
    page: Url,
}

/// What the client does with an address.
enum Client {
    /// Shows it to the person, and calls again with the state that it got.
    Resumes,
    /// Shows it to the person while the call waits.
    Waits,
    /// Hands words on to the model.
    Reads,
}

impl Client {
    fn of(context: &RequestContext<RoleServer>) -> Self {
        let shows = context
            .client_capabilities()
            .and_then(|capabilities| capabilities.elicitation)
            .is_some_and(|elicitation| elicitation.url.is_some());
        let resumes = context
            .protocol_version()
            .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str());
        match (shows, resumes) {
            (true, true) => Self::Resumes,
            (true, false) => Self::Waits,
            (false, _) => Self::Reads,
        }
    }
}

/// What an interrupt led to.
pub(crate) enum Next {
    /// This is the answer.
    Answer(CallToolResponse),
    /// The person has connected what was missing.
    CallAgain,
}

/// Tells the client, and where it can wait for the person, waits.
pub(crate) async fn say(
    host: &Host,
    pages: &ConnectPages,
    call: &Call,
    interrupted: &Interrupted,
    context: &RequestContext<RoleServer>,
) -> Result<Next, ErrorData> {
    let address = if interrupted.unmet.connections().is_empty() {
        None
    } else {
        Some(pages.address().await.map_err(internal)?)
    };
    let asks = asks(host, address.as_ref(), interrupted);
    match (Client::of(context), asks) {
        (Client::Resumes, Some(asks)) => {
            let state = resumption::state_of(host, call, Kind::Interrupted).await?;
            let requests = asks.into_iter().map(Ask::into_request);
            let requests: InputRequests = requests.collect();
            let result = InputRequiredResult::new(Some(requests), Some(state));
            Ok(Next::Answer(result.into()))
        }
        (Client::Waits, Some(asks)) => {
            for ask in asks {
                if let Some(refused) = wait(host, ask, context).await? {
                    return Ok(Next::Answer(refused.into()));
                }
            }
            Ok(Next::CallAgain)
        }
        _ => Ok(Next::Answer(
            words(host, address.as_ref(), interrupted).into(),
        )),
    }
}

/// What the person is asked; `None` where something is missing that they cannot connect on a page.
fn asks(
    host: &Host,
    address: Option<&ConnectAddress>,
    interrupted: &Interrupted,
) -> Option<Vec<Ask>> {
    let ask = |missing: &Missing| {
        let provider = host.broker().providers().find(&missing.provider)?;
        Some(Ask {
            connection: missing.connection.clone()?,
            message: format!(
                "The tool `{}` needs your account at {} (profile `{}`). Open the page to connect it.",
                interrupted.tool, provider.title, missing.profile
            ),
            page: host.broker().page_for(address?, missing)?,
        })
    };
    interrupted.unmet.missing().iter().map(ask).collect()
}

impl Ask {
    /// Under the connection's id, by which the client's answer is known.
    fn into_request(self) -> (String, InputRequest) {
        let id = self.connection.to_string();
        let params = ElicitRequestParams::UrlElicitationParams {
            meta: None,
            message: self.message,
            url: self.page.into(),
            elicitation_id: id.clone(),
        };
        (id, InputRequest::Elicitation(ElicitRequest::new(params)))
    }
}

/// Sends the person to the page and waits for them; the answer if that was in vain.
async fn wait(
    host: &Host,
    ask: Ask,
    context: &RequestContext<RoleServer>,
) -> Result<Option<CallToolResult>, ErrorData> {
    let id = ask.connection.to_string();
    let action = context
        .peer
        .elicit_url_with_timeout(ask.message, ask.page, &id, Some(PATIENCE))
        .await
        .map_err(internal)?;
    if action != ElicitationAction::Accept {
        return Ok(Some(declined()));
    }
    let connection = connected(host, &ask.connection, PATIENCE, context).await?;
    let complete = CustomNotification::new(
        "notifications/elicitation/complete",
        Some(json!({ "elicitationId": id })),
    );
    // A client that is gone has nobody to tell.
    let _ = context
        .peer
        .send_notification(ServerNotification::CustomNotification(complete))
        .await;
    Ok(connection.filter(is_in_vain).map(|connection| {
        answer::words(format!(
            "The tool was not called: the connection {}.",
            connection.state
        ))
    }))
}

fn is_in_vain(connection: &Connection) -> bool {
    !matches!(connection.state, ConnectionState::Connected { .. })
}

/// The connection once it is over, or the time is; meanwhile the client hears that the call lives.
async fn connected(
    host: &Host,
    id: &ConnectionId,
    patience: Duration,
    context: &RequestContext<RoleServer>,
) -> Result<Option<Connection>, ErrorData> {
    let end = Instant::now() + patience;
    let mut sign = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let wait = host.broker().wait(id, left.min(SIGN_OF_LIFE));
        let connection = wait.await.map_err(internal)?;
        let over = connection
            .as_ref()
            .is_none_or(|connection| connection.state.is_over());
        if over || left.is_zero() {
            return Ok(connection);
        }
        sign += 1;
        if let Some(token) = context.meta.get_progress_token() {
            let progress = ProgressNotificationParam::new(token, f64::from(sign))
                .with_message("waiting for the person to connect the account");
            let _ = context.peer.notify_progress(progress).await;
        }
    }
}

fn words(
    host: &Host,
    address: Option<&ConnectAddress>,
    interrupted: &Interrupted,
) -> CallToolResult {
    let broker = host.broker();
    let explained = broker.explain(address, &interrupted.unmet);
    let described = broker.describe(address, &interrupted.unmet);
    answer::words(format!(
        "The tool `{}` was not called, since a person has to act first. Tell them:\n{explained}\nWhen they are done, call \
         the tool again with the same arguments.",
        interrupted.tool
    ))
    .with_meta(Some(answer::meta(INTERRUPT, described.into())))
}

fn declined() -> CallToolResult {
    answer::words("The tool was not called: the person does not want to connect the account.")
}

/// Takes what a client brings when it goes on; the answer if the person said no.
pub(crate) async fn take_up(
    host: &Host,
    call: &Call,
    responses: &InputResponses,
    context: &RequestContext<RoleServer>,
) -> Result<Option<CallToolResult>, ErrorData> {
    for (id, response) in responses {
        if response.get("action").and_then(|action| action.as_str()) != Some("accept") {
            return Ok(Some(declined()));
        }
        let Ok(id) = ConnectionId::new(id.as_str()) else {
            continue;
        };
        let connection = host.broker().connection(&id).await.map_err(internal)?;
        // One of another user is not waited for: not even how long it takes may be seen.
        if connection.is_some_and(|connection| connection.owner.tenant == call.tenant) {
            connected(host, &id, PATIENCE_AGAIN, context).await?;
        }
    }
    Ok(None)
}
