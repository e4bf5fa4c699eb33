//! For whom a client's calls run. Fronts of agents find it out, each in its own way.

use holster_types::{ProfileName, TenantId, ThreadId};

/// For whom calls run: decided by the host, whatever the agent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub tenant: TenantId,
    /// The conversation.
    pub thread: ThreadId,
    /// Whose accounts serve.
    pub profile: ProfileChoice,
}

impl Caller {
    /// Whether the accounts of this profile are the caller's to see and use.
    pub fn may_use(&self, profile: &ProfileName) -> bool {
        match &self.profile {
            ProfileChoice::Fixed(fixed) => fixed == profile,
            ProfileChoice::Usual | ProfileChoice::Agent => true,
        }
    }
}

/// Who says which profile serves a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileChoice {
    /// Nobody: for each provider the chosen profile, or the only one that has an account there.
    Usual,
    /// The host: this one, always.
    Fixed(ProfileName),
    /// The agent: every tool has an argument more, an enum of the tenant's own profiles.
    Agent,
}
