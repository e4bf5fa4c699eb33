//! What changes, as it changes: server-sent events, for one user at a time.
//!
//! Of tools and calls this process knows by itself. Connections and accounts are in the vault, where any process of a
//! user may change them: it is looked at every second, as long as somebody listens. Listeners are bounded in number, and
//! a stream in time: whoever goes on listening is let in anew, with a key that is still good.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse as _, Response};
use futures::stream::unfold;
use holster_core::broker::{BrokerError, Connection, CredentialSummary};
use holster_core::types::{ConnectionId, ProfileName, ProviderId, TenantId};
use holster_core::{Caller, ProfileChoice};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::Rest;
use super::calls::{ShownCall, seen_by};
use super::connections::ShownConnection;
use crate::problem::Problem;

/// How many may listen at once, and how many of one user.
const LISTENERS: usize = 256;
const LISTENERS_OF_A_USER: usize = 16;

/// How long a stream lasts.
const LIFE: Duration = Duration::from_mins(15);

/// How often it is looked whether something has changed here.
const PACE: Duration = Duration::from_millis(250);

/// After so many looks, the vault is looked at as well: a second.
const LOOKS_AT_VAULT: u64 = 4;

/// After so many looks, a line is sent that says nothing, so that both sides know that the other is there: 15 seconds.
const LOOKS_TO_SIGN_OF_LIFE: u64 = 60;

/// How many calls are told of in one look; of more, the newest.
const CALLS_IN_A_LOOK: usize = 100;

/// Who listens to what changes.
#[derive(Debug, Clone, Default)]
pub struct Events(Arc<Listeners>);

#[derive(Debug, Default)]
struct Listeners {
    ending: CancellationToken,
    /// How many listen, by user.
    places: Mutex<HashMap<TenantId, usize>>,
}

impl Events {
    /// Ends all streams, those that begin later too.
    pub fn stop(&self) {
        self.0.ending.cancel();
    }

    /// A place for one more listener, if there is one.
    fn enter(&self, tenant: &TenantId) -> Option<Place> {
        let mut places = self.places();
        let all: usize = places.values().sum();
        let own = places.get(tenant).copied().unwrap_or(0);
        if all >= LISTENERS || own >= LISTENERS_OF_A_USER {
            return None;
        }
        places.insert(tenant.clone(), own + 1);
        drop(places);
        Some(Place {
            events: self.clone(),
            tenant: tenant.clone(),
        })
    }

    fn places(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, usize>> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a listener, free again when this is dropped.
struct Place {
    events: Events,
    tenant: TenantId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.events.places();
        if let Some(own) = places.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                places.remove(&self.tenant);
            }
        }
    }
}

/// Something that has happened: the event's name and its data. The data of those that only say what to read again is `{}`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub(crate) enum Event {
    /// From now on nothing is missed; what was read before may be old.
    Hello,
    /// Tools were added, replaced or removed: read `/v1/tools` again.
    Tools,
    /// Accounts were connected, renewed or disconnected: read `/v1/accounts` and `/v1/profiles` again.
    Accounts,
    /// A connection was begun, or has gone on.
    Connection(ShownConnection),
    /// A call has ended.
    Call(ShownCall),
}

impl Event {
    fn name(&self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Tools => "tools",
            Self::Accounts => "accounts",
            Self::Connection(_) => "connection",
            Self::Call(_) => "call",
        }
    }

    fn data(&self) -> String {
        match self {
            Self::Hello | Self::Tools | Self::Accounts => "{}".to_owned(),
            Self::Connection(connection) => super::text(connection),
            Self::Call(call) => super::text(call),
        }
    }
}

/// What the caller's accounts are.
#[derive(PartialEq)]
struct Accounts {
    credentials: Vec<CredentialSummary>,
    chosen: BTreeMap<ProviderId, ProfileName>,
}

/// One who listens.
struct Listener {
    rest: Arc<Rest>,
    caller: Caller,
    _place: Place,
    ending: CancellationToken,
    end: Instant,
    ticks: Interval,
    looks: u64,
    tools: watch::Receiver<()>,
    calls: watch::Receiver<()>,
    /// The last call that was told of.
    last_call: u64,
    /// Those that are over as well: one may begin and end between two looks.
    connections: BTreeMap<ConnectionId, Connection>,
    accounts: Accounts,
    /// What is to be sent.
    ready: String,
}

impl Listener {
    async fn new(rest: Arc<Rest>, caller: Caller, place: Place) -> Result<Self, BrokerError> {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let calls = rest.host.history().changes();
        let mut listener = Self {
            tools: rest.host.changes(),
            last_call: rest.host.history().last(),
            calls,
            connections: connections(&rest, &caller).await?,
            accounts: accounts(&rest, &caller).await?,
            ending: rest.events.0.ending.clone(),
            rest,
            caller,
            _place: place,
            end: Instant::now() + LIFE,
            ticks,
            looks: 0,
            ready: String::new(),
        };
        listener.tell(&Event::Hello);
        Ok(listener)
    }

    /// What is to be sent next; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        while self.ready.is_empty() {
            tokio::select! {
                () = self.ending.cancelled() => return None,
                _ = self.ticks.tick() => {}
            }
            if Instant::now() >= self.end {
                return None;
            }
            if let Err(error) = self.look().await {
                tracing::warn!("nobody can be told of changes: {error}");
                return None;
            }
        }
        Some(std::mem::take(&mut self.ready))
    }

    async fn look(&mut self) -> Result<(), BrokerError> {
        self.looks += 1;
        if self.tools.has_changed().unwrap_or(false) {
            self.tools.mark_unchanged();
            self.tell(&Event::Tools);
        }
        if self.calls.has_changed().unwrap_or(false) {
            self.calls.mark_unchanged();
            self.tell_of_calls();
        }
        if self.looks.is_multiple_of(LOOKS_AT_VAULT) {
            self.look_at_vault().await?;
        }
        if self.looks.is_multiple_of(LOOKS_TO_SIGN_OF_LIFE) {
            self.ready.push_str(":\n\n");
        }
        Ok(())
    }

    fn tell_of_calls(&mut self) {
        let calls = seen_by(&self.caller, &self.rest, self.last_call, CALLS_IN_A_LOOK);
        if let Some(newest) = calls.first() {
            self.last_call = newest.number;
        }
        for call in calls.into_iter().rev() {
            self.tell(&Event::Call(call));
        }
    }

    async fn look_at_vault(&mut self) -> Result<(), BrokerError> {
        let connections = connections(&self.rest, &self.caller).await?;
        for (id, connection) in &connections {
            if self.connections.get(id) != Some(connection) {
                let shown = ShownConnection::of(&self.rest, connection.clone());
                self.tell(&Event::Connection(shown));
            }
        }
        self.connections = connections;
        let accounts = accounts(&self.rest, &self.caller).await?;
        if accounts != self.accounts {
            self.accounts = accounts;
            self.tell(&Event::Accounts);
        }
        Ok(())
    }

    fn tell(&mut self, event: &Event) {
        let (name, data) = (event.name(), event.data());
        write!(self.ready, "event: {name}\ndata: {data}\n\n").expect("memory can be written");
    }
}

async fn connections(
    rest: &Rest,
    caller: &Caller,
) -> Result<BTreeMap<ConnectionId, Connection>, BrokerError> {
    let broker = rest.host.broker();
    let own = broker
        .connections(&caller.tenant, None)
        .await?
        .into_iter()
        .filter(|connection| caller.may_use(&connection.owner.profile));
    Ok(own
        .map(|connection| (connection.id.clone(), connection))
        .collect())
}

async fn accounts(rest: &Rest, caller: &Caller) -> Result<Accounts, BrokerError> {
    let broker = rest.host.broker();
    let profile = match &caller.profile {
        ProfileChoice::Fixed(fixed) => Some(fixed),
        ProfileChoice::Usual | ProfileChoice::Agent => None,
    };
    Ok(Accounts {
        credentials: broker.list(&caller.tenant, profile).await?,
        chosen: broker.defaults(&caller.tenant).await?,
    })
}

/// What changes for the caller, as server-sent events: each has a name and data, as the schema's `event` and `data`. A
/// stream lasts 15 minutes at most; whoever listens again reads anew what may have changed in between.
#[utoipa::path(
    get,
    path = "/v1/events",
    responses(
        (status = 200, content_type = "text/event-stream", body = Event),
        (status = 401, body = Problem),
        (status = 429, description = "Too many listen.", body = Problem),
        (status = 500, body = Problem),
    ),
)]
pub(crate) async fn listen(
    State(rest): State<Arc<Rest>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let Some(place) = rest.events.enter(&caller.tenant) else {
        let detail = format!(
            "{LISTENERS_OF_A_USER} listen for this user already, or {LISTENERS} in all; close a page or end a program"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Err(Problem::new(status, "too_many_listeners", detail));
    };
    let listener = Listener::new(Arc::clone(&rest), caller, place).await?;
    let stream = unfold(listener, |mut listener| async {
        let sent = listener.next().await?;
        Some((Ok::<_, Infallible>(sent), listener))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // A proxy that waits for more would make it late.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn no_user_takes_the_places_of_all_and_a_place_is_free_again_afterwards() {
        let events = Events::default();
        let own: Vec<_> = (0..LISTENERS_OF_A_USER)
            .map(|_| events.enter(&user("ann")).unwrap())
            .collect();
        assert!(events.enter(&user("ann")).is_none());
        assert!(events.enter(&user("bob")).is_some());
        drop(own);
        assert!(events.enter(&user("ann")).is_some());
        assert!(events.places().is_empty(), "nobody is kept who has left");
    }

    #[test]
    fn so_many_listen_in_all() {
        let events = Events::default();
        let places: Vec<_> = (0..LISTENERS)
            .map(|number| {
                let tenant = user(&format!("user-{}", number / LISTENERS_OF_A_USER));
                events.enter(&tenant).unwrap()
            })
            .collect();
        assert!(events.enter(&user("one-more")).is_none());
        drop(places);
    }

    #[test]
    fn the_names_of_events_are_those_of_their_description() {
        for event in [Event::Hello, Event::Tools, Event::Accounts] {
            let described = serde_json::to_value(&event).unwrap();
            assert_eq!(described["event"], event.name());
        }
    }
}
