//! A call while it runs, and one that waits for a person between two requests.
//!
//! Since 2026-07-28 a server asks by ending the client's request; the call itself, whose guest waits, is kept under the
//! state that the client was given. It is of one user, tool and arguments, goes on once, and ends when nobody comes for
//! it in time. Whoever drops a call ends its guest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use holster_core::types::{TenantId, ToolName};
use holster_core::{Answer, Call, CallLost, Host, Outcome, QUESTION_TIME, Question, Unanswered};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::session::{Asks, Client, Event, Reply, line};

/// Calls of one user that may wait at once.
const WAITING_OF_ONE: usize = 8;

/// A call that runs.
pub(crate) struct Running {
    tool: ToolName,
    events: mpsc::Receiver<Event>,
    outcome: BoxFuture<'static, Result<Outcome, CallLost>>,
}

/// Where a call stands.
pub(crate) enum Step {
    /// It is over.
    Over(Outcome),
    /// It waits for an answer that the client brings with its next request.
    Asks(Question, Reply),
}

impl Running {
    pub(crate) fn start(
        host: &Arc<Host>,
        calls: &Handle,
        mut call: Call,
        client: &Client<'_>,
    ) -> Self {
        let tool = call.tool.clone();
        let (session, events) = line(client);
        call.session = Some(session);
        let (host, calls) = (Arc::clone(host), calls.clone());
        let outcome = Box::pin(async move { host.call_on(&calls, call).await });
        Self {
            tool,
            events,
            outcome,
        }
    }

    /// Tells the client what the guest says, until the call is over or asks what this client answers later only.
    pub(crate) async fn go_on(&mut self, client: &Client<'_>) -> Result<Step, CallLost> {
        loop {
            let event = tokio::select! {
                biased;
                Some(event) = self.events.recv() => event,
                outcome = &mut self.outcome => {
                    while let Ok(event) = self.events.try_recv() {
                        tell(client, &self.tool, event).await;
                    }
                    return outcome.map(Step::Over);
                }
            };
            match event {
                Event::Ask(question, reply) if client.asks == Asks::ByResult => {
                    return Ok(Step::Asks(question, reply));
                }
                event => tell(client, &self.tool, event).await,
            }
        }
    }
}

async fn tell(client: &Client<'_>, tool: &ToolName, event: Event) {
    match event {
        Event::Log(message) => client.log(message, tool.as_str()).await,
        Event::Progress(progress) => client.progress(progress).await,
        Event::Ask(question, mut reply) => {
            let answer = tokio::select! {
                answer = client.ask(&question) => answer,
                // Nobody waits for it any more.
                () = reply.closed() => return,
            };
            let _ = reply.send(answer);
        }
    }
}

/// A call whose guest waits while its client makes no request.
pub(crate) struct Waiting {
    pub(crate) running: Running,
    reply: Reply,
    tenant: TenantId,
}

impl Waiting {
    pub(crate) fn new(running: Running, reply: Reply, tenant: TenantId) -> Self {
        Self {
            running,
            reply,
            tenant,
        }
    }

    /// Hands the answer to the guest.
    pub(crate) fn answered(self, answer: Result<Answer, Unanswered>) -> Running {
        let _ = self.reply.send(answer);
        self.running
    }
}

/// The calls that wait, by the states that their clients have.
#[derive(Clone, Default)]
pub(crate) struct WaitingCalls(Arc<Mutex<HashMap<String, Waiting>>>);

impl WaitingCalls {
    /// Keeps a call until somebody takes it, or for [`QUESTION_TIME`]. One too many of a user is given back.
    pub(crate) fn keep(&self, state: &str, waiting: Waiting) -> Result<(), Box<Waiting>> {
        let mut calls = self.calls();
        let of_one = calls.values().filter(|call| call.tenant == waiting.tenant);
        if of_one.count() >= WAITING_OF_ONE {
            return Err(Box::new(waiting));
        }
        calls.insert(state.to_owned(), waiting);
        drop(calls);
        let (all, state) = (self.clone(), state.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(QUESTION_TIME).await;
            all.take(&state);
        });
        Ok(())
    }

    /// The call of this state, if it still waits.
    pub(crate) fn take(&self, state: &str) -> Option<Waiting> {
        self.calls().remove(state)
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
