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

/// The state of an interrupted call.
pub(crate) async fn state_of(host: &Host, call: &Call) -> Result<String, ErrorData> {
    let resumption = host.broker().resumption(&describe(host, call)).await;
    resumption.map_err(internal)
}

/// Uses up the state that a client brought; an error says why the call does not go on with it.
pub(crate) async fn use_up(host: &Host, call: &Call, state: &str) -> Result<(), ErrorData> {
    let judged = host.broker().resume(state, &describe(host, call)).await;
    judged
        .map_err(internal)?
        .map_err(|error| ErrorData::invalid_params(error.to_string(), None))
}

fn describe(host: &Host, call: &Call) -> [Vec<u8>; 6] {
    let component = host
        .catalogue()
        .tool(&call.tool)
        .map(|tool| tool.hash().to_string());
    [
        call.tenant.as_str().into(),
        call.thread.as_str().into(),
        call.profile.as_ref().map_or("", ProfileName::as_str).into(),
        call.tool.as_str().into(),
        component.unwrap_or_default().into(),
        // Sorted by name, so that the order in which a client writes them does not matter.
        Value::Object(call.arguments.clone()).to_string().into(),
    ]
}
