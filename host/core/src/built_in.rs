//! The host's own tools, with which an agent sees and undoes what was connected in its conversation.
//!
//! Each is off unless the operator allows it. They answer for the conversation of the call alone, and never with a
//! secret; what they may do is what a person allowed there before.

use std::time::Instant;

use holster_broker::{Broker, Connection, ConnectionState, Owner};
use holster_runtime::{Behaviour, Content, ToolDefinition, ToolOutput};
use holster_types::{ConnectionId, ToolName};
use serde_json::{Value, json};

use crate::admission::Validator;
use crate::call::{Account, Call, Failure, Finished};
use crate::config::BuiltInConfig;

/// The tools that are allowed.
pub(crate) struct BuiltIn(Vec<OwnTool>);

/// One of the host's own tools.
pub(crate) struct OwnTool {
    action: Action,
    definition: ToolDefinition,
    input: Validator,
}

#[derive(Clone, Copy)]
enum Action {
    Connections,
    Disconnect,
}

impl BuiltIn {
    pub(crate) fn new(config: &BuiltInConfig) -> Self {
        let allowed = [
            (config.connections, Action::Connections),
            (config.disconnect, Action::Disconnect),
        ];
        let tools = allowed
            .into_iter()
            .filter(|(allowed, _)| *allowed)
            .map(|(_, action)| OwnTool {
                action,
                definition: action.definition(),
                input: Validator::default(),
            });
        Self(tools.collect())
    }

    pub(crate) fn definitions(&self) -> impl Iterator<Item = &ToolDefinition> {
        self.0.iter().map(|tool| &tool.definition)
    }

    pub(crate) fn find(&self, name: &ToolName) -> Option<&OwnTool> {
        self.0.iter().find(|tool| tool.definition.name == *name)
    }
}

impl OwnTool {
    pub(crate) async fn call(
        &self,
        broker: &Broker,
        call: &Call,
        arguments: &mut Value,
    ) -> Result<Finished, Failure> {
        let start = Instant::now();
        let violations = self
            .input
            .violations(&self.definition.input_schema, arguments)
            .await;
        if !violations.is_empty() {
            return Err(Failure::InvalidArguments {
                tool: call.tool.clone(),
                violations,
            });
        }
        let connections = broker.connections(&call.tenant, Some(&call.thread)).await?;
        let (answer, accounts) = match self.action {
            Action::Connections => {
                let shown: Vec<_> = connections.iter().map(shown).collect();
                (json!({ "connections": shown }), Vec::new())
            }
            Action::Disconnect => {
                let connection = wanted(&connections, arguments)?;
                let owner = Owner::new(&call.tenant, connection.owner.profile.clone());
                let disconnected = broker.disconnect(&owner, &connection.provider).await?;
                (
                    json!({ "result": disconnected, "connection": shown(connection) }),
                    vec![account(connection)],
                )
            }
        };
        Ok(Finished {
            output: ToolOutput {
                content: vec![Content::Structured(answer)],
            },
            component: None,
            hash: None,
            accounts,
            visits: Vec::new(),
            duration: start.elapsed(),
        })
    }
}

/// The connection that the arguments name, if it is of this conversation and was made.
fn wanted<'a>(connections: &'a [Connection], arguments: &Value) -> Result<&'a Connection, Failure> {
    let id = arguments["connection"].as_str().unwrap_or_default();
    let id = ConnectionId::new(id).ok();
    connections
        .iter()
        .find(|connection| {
            Some(&connection.id) == id.as_ref()
                && matches!(connection.state, ConnectionState::Connected { .. })
        })
        .ok_or_else(|| Failure::NoConnection {
            connection: id.map_or_else(String::new, String::from),
        })
}

fn shown(connection: &Connection) -> Value {
    let mut shown = json!({
        "connection": connection.id,
        "provider": connection.provider,
        "profile": connection.owner.profile,
        "scopes": connection.scopes,
    });
    let state = serde_json::to_value(&connection.state).expect("a state is JSON");
    if let (Some(shown), Value::Object(state)) = (shown.as_object_mut(), state) {
        shown.extend(state);
    }
    shown
}

fn account(connection: &Connection) -> Account {
    Account {
        provider: connection.provider.clone(),
        profile: connection.owner.profile.clone(),
        account: match &connection.state {
            ConnectionState::Connected { account } => account.clone(),
            _ => None,
        },
    }
}

impl Action {
    fn definition(self) -> ToolDefinition {
        let (name, title, description, input_schema) = match self {
            Self::Connections => (
                "holster_connections",
                "Show connections",
                "Lists the accounts that were asked for in this conversation, and whether the person has connected them.",
                json!({ "type": "object", "additionalProperties": false }),
            ),
            Self::Disconnect => (
                "holster_disconnect",
                "Disconnect an account",
                "Forgets an account that was connected in this conversation, and revokes it at its provider. The person \
                 has to connect it again before a tool can use it.",
                json!({
                    "type": "object",
                    "properties": {
                        "connection": {
                            "type": "string",
                            "description": "The connection, as `holster_connections` lists it."
                        }
                    },
                    "required": ["connection"],
                    "additionalProperties": false
                }),
            ),
        };
        ToolDefinition {
            name: ToolName::new(name).expect("a valid name"),
            title: Some(title.to_owned()),
            description: description.to_owned(),
            input_schema,
            output_schema: None,
            requirements: Vec::new(),
            behaviour: Behaviour {
                read_only: Some(matches!(self, Self::Connections)),
                destructive: Some(matches!(self, Self::Disconnect)),
                idempotent: Some(true),
                open_world: Some(matches!(self, Self::Disconnect)),
            },
        }
    }
}
