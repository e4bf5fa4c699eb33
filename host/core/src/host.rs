//! The host, and the way of a call.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;

use holster_audit::{CalledComponent, Event};
use holster_broker::{Broker, BrokerSettings, Owner, Unmet, Users};
use holster_runtime::{
    CallContext, CallError, CodeCache, HostVisit, Invocation, Report, Runtime, RuntimeError,
    RuntimeSettings, Sandbox, ToolDefinition,
};
use holster_types::{ComponentName, Grant, ProfileName, TenantId, ThreadId, ToolName};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tracing::{Instrument as _, Span};

use crate::built_in::BuiltIn;
use crate::call::{Account, Call, CallLost, Failure, Finished, Interrupted, Outcome};
use crate::catalogue::{Catalogue, CatalogueView, LoadEvent, ServedTool};
use crate::config::{ComponentPattern, Config, ConfigError};
use crate::handover::Handover;
use crate::history::{History, Recording};
use crate::metrics::Metrics;
use crate::observed::{Observed, Step};
use crate::policy::{Approvals, Standing};

/// Why the host does not start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum HostError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Broker(#[from] holster_broker::BrokerError),
    #[error("the plugin directory {} cannot be read: {error}", .directory.display())]
    Plugins {
        directory: std::path::PathBuf,
        error: std::io::Error,
    },
    #[error("the plugin directory {} cannot be followed: {error}", .directory.display())]
    Watch {
        directory: std::path::PathBuf,
        error: notify::Error,
    },
}

/// The product: a plugin directory of tools, called with a profile's accounts, in a sandbox.
pub struct Host {
    config: Config,
    runtime: Runtime,
    broker: Arc<Broker>,
    catalogue: Catalogue,
    built_in: BuiltIn,
    history: History,
    approvals: Arc<Approvals>,
    handover: Handover,
    /// Where the configuration asks for them.
    metrics: Option<Metrics>,
    watcher: std::sync::Mutex<Option<crate::catalogue::Watcher>>,
}

/// A call that may run, and under which rules.
struct Admitted {
    sandbox: Sandbox,
    arguments: String,
    /// For whom: the one that was named, or the only one that may be. `None`: for each provider the one that serves it.
    profile: Option<ProfileName>,
}

/// What ends a call before its answer.
enum Stop {
    Interrupted(Interrupted),
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl Host {
    /// Opens the cache, the vault and the plugin directory. Components that are not in the cache are compiled in
    /// the background, by the tokio runtime in which this is called.
    pub async fn open(config: Config) -> Result<Self, HostError> {
        Self::open_observed(config, |_, _| {}).await
    }

    /// As [`Host::open`]; `observer` is told of every step of loading a component.
    pub async fn open_observed(
        config: Config,
        observer: impl Fn(&ComponentName, LoadEvent) + Send + Sync + 'static,
    ) -> Result<Self, HostError> {
        let config = config.with_folders()?;
        let runtime = open_runtime(&config)?;
        let broker = Arc::new(open_broker(&config).await?);
        let directory = config.plugin_directory()?;
        let approvals = Approvals::new(config.policy.ask, &config.data_folder()?, &directory);
        let approvals = Arc::new(approvals);
        let catalogue = Catalogue::open(&directory, &runtime, Arc::new(observer))
            .map_err(|error| HostError::Plugins { directory, error })?;
        let (seeing, view) = (Arc::clone(&approvals), catalogue.view());
        // Nobody waits for that but a call that needs to know.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = seeing.see(view.tools()) {
                tracing::warn!("{error}");
            }
        });
        Ok(Self {
            built_in: BuiltIn::new(&config.built_in),
            history: History::new(broker.audit_log()),
            approvals,
            handover: Handover::default(),
            metrics: config.serve.metrics.then(Metrics::new),
            config,
            runtime,
            broker,
            catalogue,
            watcher: std::sync::Mutex::default(),
        })
    }

    /// Follows the plugin directory from now on.
    pub fn watch(&self) -> Result<(), HostError> {
        let directory = self.config.plugin_directory()?;
        let watcher = self
            .catalogue
            .watch()
            .map_err(|error| HostError::Watch { directory, error })?;
        *self
            .watcher
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(watcher);
        Ok(())
    }

    /// Whether calls run at all. Where not, none does until the process starts again.
    pub fn ready(&self) -> Result<(), CallError> {
        self.runtime.ready()
    }

    /// The catalogue as it is now; components may still be loading.
    pub fn catalogue(&self) -> Arc<CatalogueView> {
        self.catalogue.view()
    }

    /// The catalogue once nothing is loading.
    pub async fn settled(&self) -> Arc<CatalogueView> {
        self.catalogue.settled().await
    }

    /// Sees every change of the catalogue from now on.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<()> {
        self.catalogue.changes()
    }

    /// The host's own tools that are allowed. They can be called like any other.
    pub fn built_in(&self) -> impl Iterator<Item = &ToolDefinition> {
        self.built_in.definitions()
    }

    /// The broker: providers, profiles, credentials.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Whether a tool's component may use what is granted to its name.
    pub async fn standing(&self, tool: &Arc<ServedTool>) -> Result<Standing, Failure> {
        Ok(self.approvals.standing(tool).await?)
    }

    /// Lets a tool's component, as it is now, use what is granted to its name. For a person to decide. May wait for a
    /// disk.
    pub fn approve(&self, tool: &ServedTool) -> Result<(), Failure> {
        self.approvals.approve(tool)?;
        let component = CalledComponent {
            name: tool.component().clone(),
            hash: tool.hash(),
        };
        let log = self.broker.audit_log();
        log.write(move || Event::Approved { component });
        Ok(())
    }

    /// The calls of late.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Puts the numbers of this host among those of a registry. Those of calls are kept only where the configuration
    /// asks for them: `[serve] metrics`.
    pub fn register_metrics(&self, registry: &mut Registry) {
        if let Some(metrics) = &self.metrics {
            metrics.register(registry);
        }
        self.runtime.register_metrics(registry);
        self.broker.register_metrics(registry);
    }

    /// The code cache.
    pub fn code_cache(&self) -> &CodeCache {
        self.runtime.cache()
    }

    /// The configuration that the host runs on.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What these tools lack, or all tools where none is named: with a connection for each account that a person can
    /// connect, for the scopes of all of them together. `None` if nothing is missing, so that their calls will not be
    /// interrupted.
    pub async fn prepare(
        &self,
        tenant: &TenantId,
        thread: &ThreadId,
        profile: Option<&ProfileName>,
        tools: &[ToolName],
    ) -> Result<Option<Unmet>, Failure> {
        let mut requirements = Vec::new();
        let mut profiles = BTreeSet::new();
        if tools.is_empty() {
            for tool in self.settled().await.tools() {
                let needed = &tool.definition().requirements;
                if !needed.is_empty() && self.standing(tool).await? == Standing::Approved {
                    match self.allowed(tenant, profile, tool).await {
                        Ok(profile) => {
                            profiles.insert(profile);
                            requirements.extend_from_slice(needed);
                        }
                        // What policy does not allow needs nothing.
                        Err(refusal) if refusal.is_refusal() => {}
                        Err(failure) => return Err(failure),
                    }
                }
            }
        }
        for name in tools {
            let tool = self.catalogue.find(name).await;
            let tool = tool.map_err(|similar| Failure::UnknownTool {
                tool: name.clone(),
                similar,
            })?;
            profiles.insert(self.allowed(tenant, profile, &tool).await?);
            // What may not use accounts needs none.
            self.sandbox(&tool).await?;
            requirements.extend_from_slice(&tool.definition().requirements);
        }
        // Where all tools are for the same profile, that is meant.
        let only = profiles.first().filter(|_| profiles.len() == 1);
        let profile = only.map_or(profile, Option::as_ref);
        let resolved = self.broker.resolve(tenant, profile, &requirements).await;
        match resolved? {
            Ok(_) => Ok(None),
            Err(unmet) => {
                let unmet = self.broker.interrupt(tenant, thread, unmet).await;
                Ok(Some(unmet?))
            }
        }
    }

    /// Calls a tool: find, admit, resolve, run (with the egress inside), answer, record. Dropping the future ends
    /// the call, and it is recorded as cancelled.
    pub async fn call(&self, call: Call) -> Outcome {
        let observed = Observed::begin(self.metrics.as_ref(), &call);
        let span = observed.span().clone();
        // Where it is: to move what is as large as a whole call takes a while.
        pin!(self.call_observed(call, observed))
            .instrument(span)
            .await
    }

    async fn call_observed(&self, mut call: Call, mut observed: Observed<'_>) -> Outcome {
        // Moved rather than cloned: from here on they are no longer in `call`.
        let mut arguments = Value::Object(std::mem::take(&mut call.arguments));
        let mut recording = self.history.begin(&call);
        let answer = self.answer_to(&call, &mut arguments, &mut recording, &mut observed);
        let outcome = match answer.await {
            Ok(finished) => Outcome::Finished(finished),
            Err(Stop::Interrupted(interrupted)) => Outcome::Interrupted(interrupted),
            Err(Stop::Failed(failure)) => Outcome::Failed(failure),
        };
        observed.end(&outcome);
        observed.step_at_once(Step::Record, || recording.end(&outcome));
        outcome
    }

    /// As [`Host::call`], for a front: a guest that computes runs on `runtime`, not on the front's own, and does not keep
    /// the front from its other clients. Dropping the future ends the call. In a trace, it is within what calls this.
    pub async fn call_on(
        self: &Arc<Self>,
        runtime: &tokio::runtime::Handle,
        call: Call,
    ) -> Result<Outcome, CallLost> {
        let (host, span) = (Arc::clone(self), Span::current());
        let call = Box::pin(async move { pin!(host.call(call)).instrument(span).await });
        self.handover.run(runtime, call).await
    }

    async fn answer_to(
        &self,
        call: &Call,
        arguments: &mut Value,
        recording: &mut Recording<'_>,
        observed: &mut Observed<'_>,
    ) -> Result<Finished, Stop> {
        if let Some(own) = self.built_in.find(&call.tool) {
            observed.found(&call.tool, None);
            let answer = own.call(&self.broker, call, arguments);
            return Ok(observed.step(Step::Run, answer).await?);
        }
        let tool = observed.step(Step::Find, self.find(call)).await?;
        recording.found(tool.component(), tool.hash());
        observed.found(&call.tool, Some((tool.component(), tool.hash())));
        // Each stays where it is: to move what takes kilobytes costs more than some of the steps.
        let admitted = observed
            .step(Step::Admit, pin!(self.admit(call, arguments, &tool)))
            .await?;
        let grants = observed
            .step(Step::Resolve, pin!(self.resolve(call, &tool, &admitted)))
            .await?;
        let used: Vec<_> = grants.iter().map(Used::of).collect();
        recording.granted(used.iter().map(|used| &used.account));
        let report = observed
            .step(Step::Run, pin!(self.run(call, &tool, admitted, grants)))
            .await?;
        recording.visited(&report.visits);
        observed.visited(&report.visits);
        self.renew_rejected(call, &used, &report.visits);
        let accounts = used.into_iter().map(|used| used.account).collect();
        let answer = answer(&tool, accounts, report);
        Ok(observed.step(Step::Answer, answer).await?)
    }

    /// Step 1: by name, from the metadata alone.
    async fn find(&self, call: &Call) -> Result<Arc<ServedTool>, Failure> {
        self.catalogue
            .find(&call.tool)
            .await
            .map_err(|similar| Failure::UnknownTool {
                tool: call.tool.clone(),
                similar,
            })
    }

    /// Step 2: the arguments against the schema, and what policy gives the component.
    async fn admit(
        &self,
        call: &Call,
        arguments: &mut Value,
        tool: &Arc<ServedTool>,
    ) -> Result<Admitted, Failure> {
        let violations = tool.input_violations(arguments).await;
        if !violations.is_empty() {
            return Err(Failure::InvalidArguments {
                tool: call.tool.clone(),
                violations,
            });
        }
        let (tenant, named) = (&call.tenant, call.profile.as_ref());
        Ok(Admitted {
            profile: self.allowed(tenant, named, tool).await?,
            sandbox: self.sandbox(tool).await?,
            arguments: arguments.to_string(),
        })
    }

    /// For which profile policy lets a tool be called, where this one is named, or none; see [`Admitted::profile`]. These
    /// are bounds, not grants: they hold for whatever content the component has.
    async fn allowed(
        &self,
        tenant: &TenantId,
        named: Option<&ProfileName>,
        tool: &ServedTool,
    ) -> Result<Option<ProfileName>, Failure> {
        let Some((entry, own)) = self.config.components.of(tool.component()) else {
            return Ok(named.cloned());
        };
        let requirements = &tool.definition().requirements;
        if let Some(providers) = &own.providers {
            let mut needed = requirements.iter().map(|need| &need.provider);
            if let Some(provider) = needed.find(|provider| !providers.contains(*provider)) {
                return Err(Failure::ProviderNotAllowed {
                    tool: tool.definition().name.clone(),
                    provider: provider.clone(),
                    entry: entry.to_string(),
                });
            }
        }
        let Some(allowed) = &own.profiles else {
            return Ok(named.cloned());
        };
        let not_allowed = |profile: &ProfileName| not_allowed(tool, profile, allowed, entry);
        match named {
            Some(named) if allowed.contains(named) => Ok(Some(named.clone())),
            Some(named) => Err(not_allowed(named)),
            None if allowed.len() == 1 => Ok(allowed.first().cloned()),
            None => {
                for need in requirements {
                    // Where several could serve, the broker says so.
                    if let Ok(serving) = self.broker.serving(tenant, &need.provider).await?
                        && !allowed.contains(&serving)
                    {
                        return Err(not_allowed(&serving));
                    }
                }
                Ok(None)
            }
        }
    }

    /// What the component may do: what the configuration gives it, if it is the one that this was meant for.
    async fn sandbox(&self, tool: &Arc<ServedTool>) -> Result<Sandbox, Failure> {
        let name = tool.component();
        let needs_accounts = !tool.definition().requirements.is_empty();
        if !needs_accounts && self.config.components.of(name).is_none() {
            return Ok(self.config.bare_sandbox(name));
        }
        match self.standing(tool).await {
            Ok(Standing::Approved) => Ok(self.config.sandbox(name)),
            // What needs no account can be served without what it was granted.
            _ if !needs_accounts => Ok(self.config.bare_sandbox(name)),
            Ok(Standing::Changed(_) | Standing::New) => Err(Failure::NotApproved {
                tool: tool.definition().name.clone(),
                component: name.clone(),
            }),
            Err(failure) => Err(failure),
        }
    }

    /// Step 3: every requirement becomes a grant, or the call is interrupted before anything of the tool runs.
    async fn resolve(
        &self,
        call: &Call,
        tool: &ServedTool,
        admitted: &Admitted,
    ) -> Result<Vec<Grant>, Stop> {
        let requirements = &tool.definition().requirements;
        let unmet = match self
            .broker
            .resolve(&call.tenant, admitted.profile.as_ref(), requirements)
            .await
            .map_err(Failure::from)?
        {
            Ok(grants) => {
                self.check_profiles(tool, &grants)?;
                self.put_on_record(call, &grants).await?;
                return Ok(grants);
            }
            Err(unmet) => unmet,
        };
        let tool = call.tool.clone();
        if unmet.is_ambiguous() {
            return Err(Failure::Ambiguous { tool, unmet }.into());
        }
        let unmet = self
            .broker
            .interrupt(&call.tenant, &call.thread, unmet)
            .await
            .map_err(Failure::from)?;
        Err(Stop::Interrupted(Interrupted { tool, unmet }))
    }

    /// Another profile may have been chosen for a provider since the call was admitted.
    fn check_profiles(&self, tool: &ServedTool, grants: &[Grant]) -> Result<(), Failure> {
        let Some((entry, own)) = self.config.components.of(tool.component()) else {
            return Ok(());
        };
        let Some(allowed) = &own.profiles else {
            return Ok(());
        };
        let mut serving = grants.iter().map(|grant| &grant.profile);
        match serving.find(|profile| !allowed.contains(*profile)) {
            None => Ok(()),
            Some(other) => Err(not_allowed(tool, other, allowed, entry)),
        }
    }

    /// No tool gets an account before that is on record.
    async fn put_on_record(&self, call: &Call, grants: &[Grant]) -> Result<(), Failure> {
        if grants.is_empty() {
            return Ok(());
        }
        let log = self.broker.audit_log();
        for grant in grants {
            self.broker.record_use(&call.tenant, grant);
        }
        log.written().await;
        log.trouble().map_or(Ok(()), |trouble| {
            let tool = call.tool.clone();
            Err(Failure::NoRecord { tool, trouble })
        })
    }

    /// Steps 4 and 5: a fresh instance, the grants inside, the egress around.
    async fn run(
        &self,
        call: &Call,
        tool: &ServedTool,
        admitted: Admitted,
        grants: Vec<Grant>,
    ) -> Result<Report, Failure> {
        let component = tool
            .load(&self.runtime)
            .await
            .map_err(|reason| Failure::Component {
                tool: call.tool.clone(),
                component: tool.component().clone(),
                reason,
            })?;
        let context = CallContext {
            tenant: call.tenant.clone(),
            thread: call.thread.clone(),
            profile: self.profile(&admitted, &grants),
        };
        let invocation = Invocation {
            tool: &call.tool,
            arguments: admitted.arguments,
            context: &context,
            grants,
            granted_to: tool.hash(),
            sandbox: &admitted.sandbox,
            session: call.session.clone(),
        };
        Ok(self.runtime.call(&component, invocation).await)
    }

    /// The profile that the guest is told: the one that the call is for, or the only one whose accounts serve.
    fn profile(&self, admitted: &Admitted, grants: &[Grant]) -> ProfileName {
        let mut serving = grants.iter().map(|grant| &grant.profile);
        match (&admitted.profile, serving.next()) {
            (Some(named), _) => named.clone(),
            (None, Some(first)) if serving.all(|other| other == first) => first.clone(),
            (None, _) => self.broker.default_profile(),
        }
    }

    /// A provider that answered 401 no longer accepts what it was sent: the next call gets something newer. This one
    /// is not repeated, since only the tool knows what it has done already.
    fn renew_rejected(&self, call: &Call, used: &[Used], visits: &[HostVisit]) {
        let rejected = |used: &&Used| {
            visits.iter().any(|visit| {
                visit.rejected && visit.provider.as_ref() == Some(&used.account.provider)
            })
        };
        for used in used.iter().filter(rejected) {
            let (broker, generation) = (Arc::clone(&self.broker), used.generation);
            let owner = Owner {
                tenant: call.tenant.clone(),
                profile: used.account.profile.clone(),
            };
            let provider = used.account.provider.clone();
            tokio::spawn(async move { broker.rejected(&owner, &provider, generation).await });
        }
    }
}

fn not_allowed(
    tool: &ServedTool,
    profile: &ProfileName,
    allowed: &BTreeSet<ProfileName>,
    entry: &ComponentPattern,
) -> Failure {
    Failure::ProfileNotAllowed {
        tool: tool.definition().name.clone(),
        profile: profile.clone(),
        allowed: allowed.clone(),
        entry: entry.to_string(),
    }
}

/// What is remembered of a grant once the guest has it.
struct Used {
    account: Account,
    generation: i64,
}

impl Used {
    fn of(grant: &Grant) -> Self {
        Self {
            account: Account {
                provider: grant.provider.clone(),
                profile: grant.profile.clone(),
                account: grant.account.clone(),
            },
            generation: grant.generation,
        }
    }
}

/// Step 6: the answer against the tool's own schema. Its size and secrets were checked where it left the guest.
async fn answer(
    tool: &ServedTool,
    accounts: Vec<Account>,
    report: Report,
) -> Result<Finished, Failure> {
    let name = || tool.definition().name.clone();
    let Report {
        result,
        visits,
        duration,
    } = report;
    let mut output = match result {
        Ok(output) => output,
        Err(error) => {
            return Err(Failure::Run {
                tool: name(),
                error,
                accounts,
                visits,
            });
        }
    };
    let violations = tool.output_violations(output.structured_mut()).await;
    if !violations.is_empty() {
        return Err(Failure::InvalidOutput {
            tool: name(),
            violations,
        });
    }
    Ok(Finished {
        output,
        component: Some(tool.component().clone()),
        hash: Some(tool.hash()),
        accounts,
        visits,
        duration,
    })
}

/// The runtime alone: for what looks at single components, or at the cache.
pub fn open_runtime(config: &Config) -> Result<Runtime, HostError> {
    Ok(Runtime::open(&RuntimeSettings {
        engine: config.engine_settings(),
        cache_directory: config.cache_directory()?,
        cache_bytes: config.cache_bytes(),
    })?)
}

/// The broker alone: for what looks at accounts, and runs nothing.
pub async fn open_broker(config: &Config) -> Result<Broker, HostError> {
    Ok(Broker::open(broker_settings(config)?).await?)
}

/// The profiles that keys, tokens and components are for: there before anything was connected for them.
fn expected_profiles(config: &Config) -> BTreeMap<Users, BTreeSet<ProfileName>> {
    let of_keys = config.serve.keys.values();
    let of_keys = of_keys.map(|key| (Users::One(key.tenant.clone()), &key.profile));
    let of_issuers = config.serve.issuers.iter();
    let of_issuers =
        of_issuers.map(|(name, issuer)| (Users::OfIssuer(name.clone()), &issuer.profile));
    let mut expected: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (users, profile) in of_keys.chain(of_issuers) {
        expected.entry(users).or_default().extend(profile.clone());
    }
    let of_components = config.components.iter();
    let of_components = of_components.filter_map(|(_, component)| component.profiles.clone());
    for profiles in of_components {
        expected.entry(Users::All).or_default().extend(profiles);
    }
    expected
}

fn broker_settings(config: &Config) -> Result<BrokerSettings, ConfigError> {
    Ok(BrokerSettings {
        data_folder: config.data_folder()?,
        provider_folder: config.provider_folder(),
        configured: config
            .profiles
            .iter()
            .map(|(profile, settings)| (profile.clone(), settings.credentials.clone()))
            .collect(),
        extra_hosts: config
            .providers
            .iter()
            .map(|(provider, own)| (provider.clone(), own.hosts.clone()))
            .collect(),
        default_profile: config.default_profile.clone(),
        clients: config
            .providers
            .iter()
            .filter_map(|(provider, own)| Some((provider.clone(), own.client.clone()?)))
            .collect(),
        expected_profiles: expected_profiles(config),
        variables: config
            .profiles
            .iter()
            .map(|(profile, settings)| (profile.clone(), settings.variables.clone()))
            .collect(),
        client_metadata_url: config.connect.client_metadata_url.clone(),
    })
}
