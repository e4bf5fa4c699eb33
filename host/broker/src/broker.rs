//! The broker itself: what the core and the command line ask.
//!
//! Each public method is one question. What the configuration says goes before what the vault holds; the vault is
//! not touched, nor made, before the first credential is asked for that the configuration does not serve.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::try_join_all;
use holster_audit::{Action, AuditLog};
use holster_types::{
    CredentialHeader, Grant, HostPattern, IssuerName, ProfileName, Proof, ProviderId, Requirement,
    Scopes, SecretString, TenantId,
};
use prometheus_client::registry::Registry;
use serde::Serialize;
use url::Url;

use crate::BrokerError;
use crate::configured::{ConfiguredClient, ConfiguredCredential, SourceError};
use crate::credential::{
    Added, CredentialSecret, CredentialSummary, NewCredential, ProfileSummary, Source,
};
use crate::metrics::Counts;
use crate::oauth::{AuthorizationServers, DpopKey};
use crate::provider::Provider;
use crate::providers::Providers;
use crate::resolve::{Missing, Reason, Unmet};
use crate::vault::{Candidates, Held, KeyKeeper, Vault};

/// What the broker works with.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// The vault is in `vault/` in it. Made when the first credential is added.
    pub data_folder: PathBuf,
    /// The user's own providers, `*.toml`. May be missing.
    pub provider_folder: Option<PathBuf>,
    /// Profiles of the configuration, with the credentials that it names. They serve the tenant `local` alone:
    /// the accounts of who runs the host are not those of who uses it.
    pub configured: BTreeMap<ProfileName, BTreeMap<ProviderId, ConfiguredCredential>>,
    /// More hosts that a provider's secrets may be sent to.
    pub extra_hosts: BTreeMap<ProviderId, Vec<HostPattern>>,
    /// The profile of calls that name none, where the operator chose one.
    pub default_profile: Option<ProfileName>,
    /// The clients that were registered with providers.
    pub clients: BTreeMap<ProviderId, ConfiguredClient>,
    /// What providers' addresses depend on, by profile and provider.
    pub variables: BTreeMap<ProfileName, BTreeMap<ProviderId, BTreeMap<String, String>>>,
    /// The address of the client id metadata document.
    pub client_metadata_url: Option<Url>,
    /// Profiles that are there although nothing was connected for them yet.
    pub expected_profiles: BTreeMap<Users, BTreeSet<ProfileName>>,
}

/// Whose profiles are expected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Users {
    /// One user's.
    One(TenantId),
    /// Those of all users of an issuer.
    OfIssuer(IssuerName),
    /// Everybody's.
    All,
}

impl Users {
    fn include(&self, tenant: &TenantId) -> bool {
        match self {
            Self::One(one) => one == tenant,
            Self::OfIssuer(issuer) => tenant.is_of_issuer(issuer),
            Self::All => true,
        }
    }
}

/// Whose credentials are meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Owner {
    /// The user.
    pub tenant: TenantId,
    /// The persona of the user.
    pub profile: ProfileName,
}

impl Owner {
    /// A profile of a tenant.
    pub fn new(tenant: &TenantId, profile: ProfileName) -> Self {
        Self {
            tenant: tenant.clone(),
            profile,
        }
    }
}

/// Providers, profiles and credentials.
#[derive(Debug)]
pub struct Broker {
    providers: Providers,
    configured: BTreeMap<ProfileName, BTreeMap<ProviderId, ConfiguredCredential>>,
    default_profile: Option<ProfileName>,
    clients: BTreeMap<ProviderId, ConfiguredClient>,
    variables: BTreeMap<ProfileName, BTreeMap<ProviderId, BTreeMap<String, String>>>,
    client_metadata_url: Option<Url>,
    expected_profiles: BTreeMap<Users, BTreeSet<ProfileName>>,
    servers: AuthorizationServers,
    vault: Arc<Vault>,
    counts: Counts,
}

/// A provider that a tool needs, with everything it needs there.
struct Need<'a> {
    provider: &'a Provider,
    scopes: Scopes,
}

/// What stands behind one need: a grant, or the reason that there is none.
type Answer = Result<Grant, Box<Missing>>;

impl Broker {
    /// Reads the providers and checks the configuration against them. Opens no vault. The vault's master key is
    /// in its key file, unless the environment gives a passphrase or a key: see [`KeyKeeper`].
    pub async fn open(settings: BrokerSettings) -> Result<Self, BrokerError> {
        let keeper = crate::vault::keeper_from_environment(&settings.data_folder)?;
        Self::open_with(settings, keeper).await
    }

    /// As [`Broker::open`], with a keeper of one's own for the vault's master key.
    pub async fn open_with(
        settings: BrokerSettings,
        keeper: Box<dyn KeyKeeper>,
    ) -> Result<Self, BrokerError> {
        let BrokerSettings {
            data_folder,
            provider_folder,
            configured,
            extra_hosts,
            default_profile,
            clients,
            variables,
            client_metadata_url,
            expected_profiles,
        } = settings;
        let providers = tokio::task::spawn_blocking(move || {
            Providers::read(provider_folder.as_deref(), extra_hosts)
        })
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        for credentials in configured.values() {
            for (id, credential) in credentials {
                providers.get(id)?.admit(credential.kind())?;
            }
        }
        for id in clients
            .keys()
            .chain(variables.values().flat_map(BTreeMap::keys))
        {
            providers.get(id)?;
        }
        for (profile, providers_of) in &variables {
            for (id, own) in providers_of {
                let provider = providers.get(id)?;
                for (name, value) in own {
                    let variable = provider.variables.get(name);
                    let admitted = variable.map_or(Ok(()), |variable| variable.admit(value));
                    admitted.map_err(|reason| BrokerError::Variable {
                        profile: profile.clone(),
                        provider: id.clone(),
                        name: name.clone(),
                        reason,
                    })?;
                }
            }
        }
        Ok(Self {
            providers,
            configured,
            default_profile,
            clients,
            variables,
            client_metadata_url,
            expected_profiles,
            servers: AuthorizationServers::new(),
            vault: Arc::new(Vault::new(&data_folder, keeper)),
            counts: Counts::default(),
        })
    }

    /// All providers: those that came with the program, and the user's own.
    pub fn providers(&self) -> &Providers {
        &self.providers
    }

    /// The profile that is meant where none is named and none has the account.
    pub fn default_profile(&self) -> ProfileName {
        self.default_profile
            .clone()
            .unwrap_or_else(|| ProfileName::new("default").expect("a valid name"))
    }

    /// Puts what is counted here among the numbers of a registry: connections and renewed tokens, by provider.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.counts.register(registry);
    }

    /// The vault, to verify it.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// A grant for each provider in `requirements`, in their order; or else all that is missing. Requirements of
    /// one provider are united. A credential whose scopes nobody recorded serves any requirement: a static token
    /// does not say what it allows, and the provider itself is the one to refuse.
    ///
    /// Without a profile, each provider is served by the profile that its tenant or the operator chose for it, or
    /// by the only one that has an account there. Where several have, none is picked.
    pub async fn resolve(
        &self,
        tenant: &TenantId,
        profile: Option<&ProfileName>,
        requirements: &[Requirement],
    ) -> Result<Result<Vec<Grant>, Unmet>, BrokerError> {
        let needs = self.unite(requirements)?;
        let answers =
            try_join_all(needs.iter().map(|need| self.answer(tenant, profile, need))).await?;
        if let Some(profile) = profile
            && !answers.iter().any(Result::is_ok)
        {
            self.check_profile(tenant, profile).await?;
        }
        let mut grants = Vec::with_capacity(answers.len());
        let mut missing = Vec::new();
        for answer in answers {
            match answer {
                Ok(grant) => grants.push(grant),
                Err(lack) => missing.push(*lack),
            }
        }
        if missing.is_empty() {
            Ok(Ok(grants))
        } else {
            Ok(Err(Unmet { missing }))
        }
    }

    /// Puts a credential into the vault, in place of the one before. Refused where the configuration already
    /// serves this profile and provider, since it would never be used.
    pub async fn add(
        &self,
        owner: &Owner,
        provider: &ProviderId,
        credential: NewCredential,
    ) -> Result<Added, BrokerError> {
        self.providers
            .get(provider)?
            .admit(credential.secret.kind())?;
        credential.check(provider)?;
        self.refuse_configured(owner, provider)?;
        Ok(self.vault.store(owner, provider, credential).await?)
    }

    /// Takes a credential out of the vault. Calls that already run keep their grant to their end.
    pub async fn remove(&self, owner: &Owner, provider: &ProviderId) -> Result<(), BrokerError> {
        if self.vault.remove(owner, provider).await? {
            return Ok(());
        }
        self.refuse_configured(owner, provider)?;
        Err(BrokerError::NotStored {
            profile: owner.profile.clone(),
            provider: provider.clone(),
        })
    }

    /// Puts on record that a call of a user is given a credential.
    pub fn record_use(&self, tenant: &TenantId, grant: &Grant) {
        let owner = Owner::new(tenant, grant.profile.clone());
        let (provider, account) = (&grant.provider, grant.account.as_deref());
        self.vault
            .audit(Action::Used, &owner, provider, account, grant.generation);
    }

    /// The log of what is done with credentials, and of calls.
    pub fn audit_log(&self) -> &Arc<AuditLog> {
        self.vault.audit_log()
    }

    /// The credentials of a tenant, sorted by profile and provider; of all profiles, or of one. What cannot be
    /// used is listed with the reason.
    pub async fn list(
        &self,
        tenant: &TenantId,
        profile: Option<&ProfileName>,
    ) -> Result<Vec<CredentialSummary>, BrokerError> {
        let wanted = |name: &ProfileName| profile.is_none_or(|profile| profile == name);
        let mut listed = Vec::new();
        for (name, credentials) in self
            .configured_profiles(tenant)
            .filter(|(name, _)| wanted(name))
        {
            for (id, credential) in credentials {
                listed.push(summary(name, id, credential).await);
            }
        }
        let shadowed: BTreeSet<_> = listed
            .iter()
            .map(|entry| (entry.profile.clone(), entry.provider.clone()))
            .collect();
        for mut entry in self.vault.list(tenant).await? {
            if !wanted(&entry.profile) {
                continue;
            }
            if shadowed.contains(&(entry.profile.clone(), entry.provider.clone())) {
                entry.problem = Some("the configuration goes before it".to_owned());
            } else if entry.problem.is_none() && self.providers.find(&entry.provider).is_none() {
                entry.problem = Some("there is no such provider (any more)".to_owned());
            }
            listed.push(entry);
        }
        listed.sort_by(|a, b| (&a.profile, &a.provider).cmp(&(&b.profile, &b.provider)));
        Ok(listed)
    }

    /// The profiles of a tenant: those of the configuration, those with a credential in the vault, and the default
    /// one; sorted by name.
    pub async fn profiles(&self, tenant: &TenantId) -> Result<Vec<ProfileSummary>, BrokerError> {
        let mut found: BTreeMap<ProfileName, ProfileSummary> = BTreeMap::new();
        let mut count = |name: &ProfileName, configured: bool, credentials: usize| {
            let entry = found.entry(name.clone()).or_insert_with(|| ProfileSummary {
                name: name.clone(),
                configured: false,
                credentials: 0,
            });
            entry.configured |= configured;
            entry.credentials += credentials;
        };
        count(&self.default_profile(), false, 0);
        for (name, credentials) in self.configured_profiles(tenant) {
            count(name, true, credentials.len());
        }
        let expected = self.expected_profiles.iter();
        let expected = expected.filter(|(users, _)| users.include(tenant));
        for name in expected.flat_map(|(_, names)| names) {
            count(name, true, 0);
        }
        for (name, credentials) in self.vault.profiles(tenant).await? {
            count(&name, false, credentials);
        }
        Ok(found.into_values().collect())
    }

    /// The requirements, one for each provider.
    fn unite(&self, requirements: &[Requirement]) -> Result<Vec<Need<'_>>, BrokerError> {
        let mut needs: Vec<Need<'_>> = Vec::with_capacity(requirements.len());
        for requirement in requirements {
            match needs
                .iter_mut()
                .find(|need| need.provider.id == requirement.provider)
            {
                Some(need) => need.scopes = need.scopes.union(&requirement.scopes),
                None => needs.push(Need {
                    provider: self.providers.get(&requirement.provider)?,
                    scopes: requirement.scopes.clone(),
                }),
            }
        }
        Ok(needs)
    }

    async fn answer(
        &self,
        tenant: &TenantId,
        profile: Option<&ProfileName>,
        need: &Need<'_>,
    ) -> Result<Answer, BrokerError> {
        let serving = match profile {
            Some(profile) => Ok(profile.clone()),
            None => self.serving(tenant, &need.provider.id).await?,
        };
        let profile = match serving {
            Ok(profile) => profile,
            Err(profiles) => {
                let owner = Owner::new(tenant, self.default_profile());
                let provider = &need.provider.id;
                let mut missing = lack(&owner, need, Reason::Ambiguous { profiles });
                missing.remedy = format!(
                    "name one with the call, or choose one with `holster auth default {provider} PROFILE`"
                );
                return Ok(Err(missing));
            }
        };
        let owner = Owner::new(tenant, profile);
        match self.configured(&owner, &need.provider.id) {
            Some(credential) => Ok(configured_answer(&owner, need, credential).await),
            None => self.vault_answer(&owner, need).await,
        }
    }

    /// The profile that serves a provider where a call names none; or all those that could.
    pub async fn serving(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
    ) -> Result<Result<ProfileName, Vec<ProfileName>>, BrokerError> {
        if let Some(known) = self.vault.known_candidates(tenant, provider)
            && let Ok(profile) = self.pick(tenant, provider, &known)
        {
            return Ok(Ok(profile));
        }
        // What is refused may have been chosen a moment ago.
        let candidates = self.vault.candidates(tenant, provider).await?;
        Ok(self.pick(tenant, provider, &candidates))
    }

    fn pick(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        candidates: &Candidates,
    ) -> Result<ProfileName, Vec<ProfileName>> {
        let chosen = candidates.chosen.as_ref().or(self.default_profile.as_ref());
        if let Some(chosen) = chosen {
            return Ok(chosen.clone());
        }
        let mut holders = self.with_configured(tenant, provider, candidates.holders.clone());
        match holders.len() {
            0 => Ok(self.default_profile()),
            1 => Ok(holders.remove(0)),
            _ => Err(holders),
        }
    }

    /// The profiles that a tenant chose, by provider.
    pub async fn defaults(
        &self,
        tenant: &TenantId,
    ) -> Result<BTreeMap<ProviderId, ProfileName>, BrokerError> {
        Ok(self.vault.default_profiles(tenant).await?)
    }

    /// Chooses the profile that serves a provider where a call names none; `None` takes the choice back. Refused for a
    /// profile without an account there.
    pub async fn set_default(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        profile: Option<&ProfileName>,
    ) -> Result<(), BrokerError> {
        self.providers.get(provider)?;
        if let Some(profile) = profile
            && !self.holders(tenant, provider).await?.contains(profile)
        {
            return Err(BrokerError::NoAccount {
                profile: profile.clone(),
                provider: provider.clone(),
            });
        }
        Ok(self
            .vault
            .set_default_profile(tenant, provider, profile)
            .await?)
    }

    /// The profiles of a tenant with an account at a provider, sorted.
    async fn holders(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
    ) -> Result<Vec<ProfileName>, BrokerError> {
        let holders = self.vault.holders(tenant, provider).await?;
        Ok(self.with_configured(tenant, provider, holders))
    }

    /// These profiles and those that the configuration gives an account at the provider, sorted.
    fn with_configured(
        &self,
        tenant: &TenantId,
        provider: &ProviderId,
        mut holders: Vec<ProfileName>,
    ) -> Vec<ProfileName> {
        for (name, credentials) in self.configured_profiles(tenant) {
            if credentials.contains_key(provider) && !holders.contains(name) {
                holders.push(name.clone());
            }
        }
        holders.sort();
        holders
    }

    async fn vault_answer(&self, owner: &Owner, need: &Need<'_>) -> Result<Answer, BrokerError> {
        let held = match self.vault.find(owner, &need.provider.id).await {
            Ok(Some(held)) => held,
            Ok(None) => return Ok(Err(lack(owner, need, Reason::NotConnected))),
            Err(error) if error.concerns_one_row() => {
                let detail = error.to_string();
                return Ok(Err(lack(owner, need, Reason::Unreadable { detail })));
            }
            Err(error) => return Err(error.into()),
        };
        if held.ended {
            return Ok(Err(lack(owner, need, Reason::Ended)));
        }
        let held = match self.fresh(owner, need.provider, held).await? {
            Ok(held) => held,
            Err(reason) => return Ok(Err(lack(owner, need, reason))),
        };
        Ok(match lacking(need, held.scopes.as_ref()) {
            Some(reason) => Err(lack(owner, need, reason)),
            None => grant(owner, need, &held),
        })
    }

    fn configured_profiles(
        &self,
        tenant: &TenantId,
    ) -> impl Iterator<Item = (&ProfileName, &BTreeMap<ProviderId, ConfiguredCredential>)> {
        let serves = *tenant == TenantId::local();
        self.configured.iter().filter(move |_| serves)
    }

    fn configured(&self, owner: &Owner, provider: &ProviderId) -> Option<&ConfiguredCredential> {
        if owner.tenant != TenantId::local() {
            return None;
        }
        self.configured.get(&owner.profile)?.get(provider)
    }

    fn refuse_configured(&self, owner: &Owner, provider: &ProviderId) -> Result<(), BrokerError> {
        match self.configured(owner, provider) {
            None => Ok(()),
            Some(credential) => Err(BrokerError::Configured {
                profile: owner.profile.clone(),
                provider: provider.clone(),
                place: credential.place(),
            }),
        }
    }

    async fn check_profile(
        &self,
        tenant: &TenantId,
        profile: &ProfileName,
    ) -> Result<(), BrokerError> {
        let configured = *tenant == TenantId::local() && self.configured.contains_key(profile);
        if configured || *profile == self.default_profile() {
            return Ok(());
        }
        let known: Vec<_> = self
            .profiles(tenant)
            .await?
            .into_iter()
            .map(|known| known.name)
            .collect();
        if known.contains(profile) {
            return Ok(());
        }
        Err(BrokerError::UnknownProfile {
            profile: profile.clone(),
            known,
        })
    }
}

async fn configured_answer(
    owner: &Owner,
    need: &Need<'_>,
    credential: &ConfiguredCredential,
) -> Answer {
    let remedy = |reason| {
        let mut missing = lack(owner, need, reason);
        missing.remedy = format!(
            "see to it, or change `[profiles.{}.credentials.{}]` in the configuration",
            owner.profile, need.provider.id
        );
        missing
    };
    if let Some(reason) = lacking(need, credential.scopes.as_ref()) {
        return Err(remedy(reason));
    }
    let secret = read(credential).await.map_err(|error| {
        remedy(Reason::Unreadable {
            detail: error.to_string(),
        })
    })?;
    let held = Held {
        secret,
        account: credential.account().map(str::to_owned),
        scopes: credential.scopes.clone(),
        expires_at: None,
        written_at: 0,
        generation: 0,
        ended: false,
    };
    grant(owner, need, &held)
}

async fn read(credential: &ConfiguredCredential) -> Result<CredentialSecret, SourceError> {
    if !credential.is_in_file() {
        return credential.read();
    }
    // A file may be on a disk that is slow or gone.
    let source = credential.clone();
    blocking(move || source.read()).await
}

/// Runs what may wait for a disk where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The scopes that a credential was not given.
fn lacking(need: &Need<'_>, scopes: Option<&Scopes>) -> Option<Reason> {
    let missing = scopes?.missing(&need.scopes);
    (!missing.is_empty()).then_some(Reason::LacksScopes { missing })
}

#[expect(
    clippy::unnecessary_box_returns,
    reason = "as an answer it is always boxed"
)]
fn lack(owner: &Owner, need: &Need<'_>, reason: Reason) -> Box<Missing> {
    let (provider, profile) = (need.provider.id.clone(), owner.profile.clone());
    Box::new(Missing {
        remedy: format!("run `holster auth connect {provider} --profile {profile}`"),
        provider,
        profile,
        scopes: need.scopes.clone(),
        reason,
        connection: None,
    })
}

fn grant(owner: &Owner, need: &Need<'_>, held: &Held) -> Answer {
    let provider = need.provider;
    let Some(secret) = held.secret.grant() else {
        return Err(lack(owner, need, Reason::NoToken));
    };
    Ok(Grant {
        provider: provider.id.clone(),
        profile: owner.profile.clone(),
        account: held.account.clone(),
        scopes: held.scopes.clone().unwrap_or_default(),
        expires_at: held.expires_at,
        generation: held.generation,
        secret,
        header: header(provider, &held.secret),
        query: provider.query(held.secret.kind()).map(str::to_owned),
        secret_header: provider
            .secret_header(held.secret.kind())
            .map(str::to_owned),
        proof: proof(&held.secret),
        hosts: provider.hosts.clone(),
        environment: provider
            .environment
            .iter()
            .map(ToString::to_string)
            .collect(),
    })
}

/// How requests carry the secret: as the provider's file says, but for a token that is bound to a key.
fn header(provider: &Provider, secret: &CredentialSecret) -> CredentialHeader {
    let mut header = provider.header(secret.kind());
    if dpop_key(secret).is_some() {
        // RFC 9449 §7.1.
        "DPoP".clone_into(&mut header.scheme);
    }
    header
}

fn proof(secret: &CredentialSecret) -> Option<Proof> {
    let key = DpopKey::from_secret(dpop_key(secret)?).ok()?;
    let access = match secret {
        CredentialSecret::OAuth(tokens) => tokens.access.clone(),
        _ => return None,
    };
    Some(Proof::new(move |method, url, nonce| {
        let url = Url::parse(url).ok()?;
        Some(key.proof(method, &url, Some(&access), nonce))
    }))
}

fn dpop_key(secret: &CredentialSecret) -> Option<&SecretString> {
    match secret {
        CredentialSecret::OAuth(tokens) => tokens.dpop_key.as_ref(),
        _ => None,
    }
}

async fn summary(
    profile: &ProfileName,
    provider: &ProviderId,
    credential: &ConfiguredCredential,
) -> CredentialSummary {
    CredentialSummary {
        profile: profile.clone(),
        provider: provider.clone(),
        kind: credential.kind(),
        account: credential.account().map(str::to_owned),
        scopes: credential.scopes.clone(),
        expires_at: None,
        created_at: None,
        updated_at: None,
        source: Source::Configured {
            place: credential.place(),
        },
        problem: read(credential).await.err().map(|error| error.to_string()),
    }
}

mod connect;
mod guidance;
mod renew;
mod resume;
mod visit;

#[cfg(test)]
mod tests;
