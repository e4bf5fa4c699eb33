//! What a tool can do and what it cannot, in sentences.

use std::collections::BTreeSet;

use holster_core::config::{ComponentConfig, FolderConfig};
use holster_core::types::{HostRule, Requirement};
use holster_core::{Host, Limits, ServedTool, Standing};

use crate::print;

/// What a tool can do and cannot do, a sentence each, without capital and full stop.
#[derive(Default)]
pub(super) struct Rights {
    pub(super) can: Vec<String>,
    pub(super) cannot: Vec<String>,
}

impl Rights {
    pub(super) fn of(host: &Host, tool: &ServedTool, standing: &Standing) -> Self {
        let nothing = ComponentConfig::default();
        let entry = host.config().components.of(tool.component());
        let granted = match (standing, entry) {
            (Standing::Approved, Some((_, granted))) => granted,
            _ => &nothing,
        };
        // What bounds a component holds for any content of it.
        let bounds = entry.map_or(&nothing, |(_, bounds)| bounds);
        let mut rights = Self::default();
        let reached = rights.accounts(host, tool, standing, granted, bounds);
        let elsewhere = rights.hosts(&reached, granted);
        rights.surroundings(granted);
        rights.limits(&host.config().limits_of(tool.component()), granted);
        rights.cannot.push(elsewhere.to_owned());
        rights.confines(granted, bounds);
        rights
    }

    /// Gives the hosts that secrets are sent to.
    fn accounts(
        &mut self,
        host: &Host,
        tool: &ServedTool,
        standing: &Standing,
        granted: &ComponentConfig,
        bounds: &ComponentConfig,
    ) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        for need in &tool.definition().requirements {
            let allowed = bounds.providers.as_ref();
            if allowed.is_some_and(|allowed| !allowed.contains(&need.provider)) {
                self.cannot.push(format!(
                    "be called: it needs an account at {}, which is not among its `providers`",
                    need.provider
                ));
                continue;
            }
            if *standing != Standing::Approved {
                self.cannot.push(format!(
                    "be called: it needs an account at {}, and has to be approved first (`holster policy approve {}`)",
                    need.provider,
                    tool.component()
                ));
                continue;
            }
            let shown = if granted.reveal.contains(&need.provider) {
                "and sees the secret itself"
            } else {
                "and sees a stand-in for the secret, which is worth nothing elsewhere"
            };
            self.can
                .push(format!("use an account at {}, {shown}", with_scopes(need)));
            if let Some(provider) = host.broker().providers().find(&need.provider) {
                reached.extend(provider.hosts.iter().map(ToString::to_string));
            }
        }
        if !reached.is_empty() {
            self.can
                .push(format!("send that secret to {}", joined(&reached)));
        }
        reached
    }

    /// Gives what it cannot reach.
    fn hosts(&mut self, reached: &BTreeSet<String>, granted: &ComponentConfig) -> &'static str {
        let is_of_provider = |rule: &&HostRule| reached.contains(&rule.host().to_string());
        let (narrowed, free): (Vec<_>, Vec<_>) = granted.hosts.iter().partition(is_of_provider);
        for rule in narrowed.iter().filter(|rule| rule.is_narrow()) {
            self.cannot.push(format!(
                "ask of {} anything but {}",
                rule.host(),
                rule.part()
            ));
        }
        let others: BTreeSet<_> = free.iter().map(ToString::to_string).collect();
        if !others.is_empty() {
            self.can.push(format!(
                "send requests without any secret to {}",
                joined(&others)
            ));
        }
        if reached.is_empty() && others.is_empty() {
            "reach any host"
        } else {
            "reach any other host, or an address of a private network that is not among these"
        }
    }

    fn surroundings(&mut self, granted: &ComponentConfig) {
        let environment = granted.environment.iter().map(ToString::to_string);
        let environment: Vec<_> = environment.collect();
        if !environment.is_empty() {
            self.can.push(format!(
                "find the variables of {} in its environment",
                environment.join(", ")
            ));
        }
        for folder in &granted.folders {
            let may = if folder.write {
                "read and change"
            } else {
                "read"
            };
            self.can
                .push(format!("{may} what is in {}", in_words(folder)));
        }
        let settings: Vec<_> = granted.config.keys().map(String::as_str).collect();
        if !settings.is_empty() {
            self.can
                .push(format!("read the settings {}", settings.join(", ")));
        }
    }

    fn limits(&mut self, limits: &Limits, granted: &ComponentConfig) {
        let files = if keeps_files(granted) {
            format!(", {} of files", print::bytes(limits.file_bytes))
        } else {
            String::new()
        };
        self.can.push(format!(
            "take {} s, {} of memory, {} requests{files} and {} of answer in each call",
            limits.time.as_secs_f64(),
            print::bytes(limits.memory_bytes),
            limits.requests,
            print::bytes(limits.output_bytes)
        ));
    }

    fn confines(&mut self, granted: &ComponentConfig, bounds: &ComponentConfig) {
        if granted.environment.is_empty() {
            self.cannot.push("see the environment".to_owned());
        }
        if let Some(profiles) = &bounds.profiles {
            let profiles = profiles.iter().map(ToString::to_string).collect();
            self.cannot.push(format!(
                "be called for another profile than {}",
                joined(&profiles)
            ));
        }
        let other = if granted.folders.is_empty() {
            ""
        } else {
            "other "
        };
        self.cannot.push(format!(
            "read or write {other}files, open sockets, or start programs"
        ));
        let but = if keeps_files(granted) {
            ", but in its folders"
        } else {
            ""
        };
        self.cannot
            .push(format!("keep anything from one call to the next{but}"));
    }
}

fn keeps_files(granted: &ComponentConfig) -> bool {
    granted.folders.iter().any(|folder| folder.write)
}

/// A folder, where the component finds it and where it is.
pub(super) fn in_words(folder: &FolderConfig) -> String {
    format!("{} ({} on this machine)", folder.at, folder.path.display())
}

fn joined(texts: &BTreeSet<String>) -> String {
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    texts.join(", ")
}

/// A provider, with the scopes that are needed there.
pub(super) fn with_scopes(need: &Requirement) -> String {
    if need.scopes.is_empty() {
        need.provider.to_string()
    } else {
        format!("{} ({})", need.provider, need.scopes)
    }
}
