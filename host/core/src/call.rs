//! A call, and how it may end. Fronts build the one and translate the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holster_broker::{BrokerError, Unmet};
use holster_runtime::{CallError, HostVisit, Session, ToolOutput};
use holster_types::{
    ComponentHash, ComponentName, ProfileName, ProviderId, TenantId, ThreadId, ToolName,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::policy::PolicyError;

/// What a front asks for. Tenant, thread and profile were checked by the front, never chosen by the agent alone.
#[derive(Debug, Clone)]
pub struct Call {
    /// The user that the call acts for.
    pub tenant: TenantId,
    /// The conversation that it belongs to.
    pub thread: ThreadId,
    /// Whose accounts serve it. `None`: for each provider the profile that was chosen for it, or the only one that
    /// has an account there.
    pub profile: Option<ProfileName>,
    /// Which tool.
    pub tool: ToolName,
    /// What it is called with.
    pub arguments: Map<String, Value>,
    /// Who hears the tool while it runs, and can be asked. `None`: nobody.
    pub session: Option<Arc<dyn Session>>,
}

impl Call {
    /// A call of a person on a laptop: tenant `local`, thread `cli`, default profile.
    pub fn local(tool: ToolName, arguments: Map<String, Value>) -> Self {
        let thread = ThreadId::new("cli").expect("`cli` is a thread id");
        Self {
            tenant: TenantId::local(),
            thread,
            profile: None,
            tool,
            arguments,
            session: None,
        }
    }
}

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// The tool answered.
    Finished(Finished),
    /// The call cannot start until a person has acted. The component was not instantiated.
    Interrupted(Interrupted),
    /// There is no answer.
    Failed(Failure),
}

/// The host panicked in a call, or was ended with it; the log says more.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the call ended without an outcome")]
pub struct CallLost;

/// The answer, and which accounts acted for it.
#[derive(Debug)]
pub struct Finished {
    /// What the tool gave.
    pub output: ToolOutput,
    /// The component that ran; `None` for a tool of the host itself.
    pub component: Option<ComponentName>,
    /// Its content.
    pub hash: Option<ComponentHash>,
    /// The accounts that were at its disposal.
    pub accounts: Vec<Account>,
    /// The requests that it sent.
    pub visits: Vec<HostVisit>,
    /// How long it ran.
    pub duration: Duration,
}

/// An account that acted for a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Where it is.
    pub provider: ProviderId,
    /// Whose persona it belongs to.
    pub profile: ProfileName,
    /// Its label, where it is known.
    pub account: Option<String>,
}

/// What a person has to do first.
#[derive(Debug)]
pub struct Interrupted {
    /// The tool that was called.
    pub tool: ToolName,
    /// What is missing, each with its remedy, and with a connection where a person can make one.
    pub unmet: Unmet,
}

/// Why there is no answer. The messages say what happened, to what, and what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Failure {
    #[error("there is no tool `{tool}`{}", did_you_mean(.similar.as_ref()))]
    UnknownTool {
        tool: ToolName,
        similar: Option<ToolName>,
    },
    #[error("the component `{component}` of tool `{tool}` cannot be loaded: {reason}")]
    Component {
        tool: ToolName,
        component: ComponentName,
        reason: String,
    },
    #[error("the arguments do not fit the input schema of `{tool}`: {}", .violations.join("; "))]
    InvalidArguments {
        tool: ToolName,
        violations: Vec<String>,
    },
    #[error("`{tool}` was not called, since more than one account could serve it: {unmet}")]
    Ambiguous { tool: ToolName, unmet: Unmet },
    #[error(
        "`{tool}` was not called, since what it does with accounts cannot be put on record: {trouble}"
    )]
    NoRecord { tool: ToolName, trouble: String },
    #[error(
        "`{tool}` was not called: its component `{component}` is not the one that was approved; `holster policy approve \
         {component}` shows what has changed, and lets it use accounts again"
    )]
    NotApproved {
        tool: ToolName,
        component: ComponentName,
    },
    #[error(
        "`{tool}` was not called: it needs an account at `{provider}`, and `[{entry}]` lets its component use none there; \
         `{provider}` is not among its `providers`"
    )]
    ProviderNotAllowed {
        tool: ToolName,
        provider: ProviderId,
        /// What decides for the component, as the configuration calls it.
        entry: String,
    },
    #[error(
        "`{tool}` was not called for profile `{profile}`: `[{entry}]` lets its component be called for {} alone; name one of \
         these, or add `{profile}` to its `profiles`",
        listed(.allowed)
    )]
    ProfileNotAllowed {
        tool: ToolName,
        profile: ProfileName,
        allowed: BTreeSet<ProfileName>,
        /// What decides for the component, as the configuration calls it.
        entry: String,
    },
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(
        "no account was connected in this conversation by the connection `{connection}`; `holster_connections` lists those that were"
    )]
    NoConnection { connection: String },
    #[error("`{tool}` answers with content that does not fit its own output schema: {}", .violations.join("; "))]
    InvalidOutput {
        tool: ToolName,
        violations: Vec<String>,
    },
    #[error("{error}")]
    Run {
        tool: ToolName,
        error: CallError,
        /// The accounts that were at its disposal.
        accounts: Vec<Account>,
        /// The requests that the tool sent, the refused ones among them.
        visits: Vec<HostVisit>,
    },
}

impl Failure {
    /// Whether the call was turned away before anything of the tool could run, for what it asked.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::UnknownTool { .. }
                | Self::InvalidArguments { .. }
                | Self::Ambiguous { .. }
                | Self::NoConnection { .. }
                | Self::NotApproved { .. }
                | Self::ProviderNotAllowed { .. }
                | Self::ProfileNotAllowed { .. }
                | Self::Broker(BrokerError::UnknownProfile { .. })
        )
    }

    /// The failure in a word that stays as it is, for what is counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnknownTool { .. } => "unknown_tool",
            Self::Component { .. } => "component",
            Self::InvalidArguments { .. } => "invalid_arguments",
            Self::Ambiguous { .. } => "ambiguous_account",
            Self::Broker(BrokerError::UnknownProfile { .. }) => "unknown_profile",
            Self::Broker(_) => "accounts",
            Self::NoRecord { .. } => "no_record",
            Self::NotApproved { .. } => "not_approved",
            Self::ProviderNotAllowed { .. } => "provider_not_allowed",
            Self::ProfileNotAllowed { .. } => "profile_not_allowed",
            Self::Policy(_) => "policy",
            Self::NoConnection { .. } => "no_connection",
            Self::InvalidOutput { .. } => "invalid_output",
            Self::Run { error, .. } => error.kind(),
        }
    }
}

/// The names, as a sentence lists them.
fn listed(profiles: &BTreeSet<ProfileName>) -> String {
    let names: Vec<_> = profiles.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

fn did_you_mean(similar: Option<&ToolName>) -> String {
    match similar {
        Some(similar) => format!("; did you mean `{similar}`?"),
        None => "; `holster tools` lists those there are".to_owned(),
    }
}
