//! `requestState`: what a client brings back when it goes on with an interrupted call.
//!
//! It is bound to all that makes the call: user, conversation, profile, tool, the component's content, the arguments. So
//! a state that was altered, that is somebody else's, or of a tool that was replaced meanwhile, is refused, and the
//! agent has to call anew. It authorises nothing: the call that goes on is judged like any other.

use holster_core::types::ProfileName;
use holster_core::{Call, Host};
use rmcp::ErrorData;
use serde_json::Value;

use crate::answer::internal;

/// How the state of a call that asked its person begins. What follows belongs to no other kind of state.
const ASKED: &str = "asked.";

/// What a call waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For an account. It is made anew, since nothing of the tool has run.
    Interrupted,
    /// For an answer. It is in the midst of running, in this process.
    Asked,
}

impl Kind {
    /// The kind of a state that a client brought.
    pub(crate) fn of(state: &str) -> Self {
        if state.starts_with(ASKED) {
            Self::Asked
        } else {
            Self::Interrupted
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Interrupted => "",
            Self::Asked => ASKED,
        }
    }
}

/// The state of a call that waits.
pub(crate) async fn state_of(host: &Host, call: &Call, kind: Kind) -> Result<String, ErrorData> {
    let resumption = host.broker().resumption(&describe(host, call, kind)).await;
    Ok(format!(
        "{}{}",
        kind.prefix(),
        resumption.map_err(internal)?
    ))
}

/// Uses up the state that a client brought; an error says why the call does not go on with it.
pub(crate) async fn use_up(host: &Host, call: &Call, state: &str) -> Result<Kind, ErrorData> {
    let kind = Kind::of(state);
    let resumption = state.strip_prefix(kind.prefix()).unwrap_or(state);
    let judged = host
        .broker()
        .resume(resumption, &describe(host, call, kind))
        .await;
    judged
        .map_err(internal)?
        .map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
    Ok(kind)
}

fn describe(host: &Host, call: &Call, kind: Kind) -> [Vec<u8>; 7] {
    let component = host
        .catalogue()
        .tool(&call.tool)
        .map(|tool| tool.hash().to_string());
    [
        kind.prefix().into(),
        call.tenant.as_str().into(),
        call.thread.as_str().into(),
        call.profile.as_ref().map_or("", ProfileName::as_str).into(),
        call.tool.as_str().into(),
        component.unwrap_or_default().into(),
        // Sorted by name, so that the order in which a client writes them does not matter.
        Value::Object(call.arguments.clone()).to_string().into(),
    ]
}
