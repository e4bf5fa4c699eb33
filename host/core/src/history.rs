//! The history: what was called lately, for whom, and how it ended.
//!
//! A [`Recording`] accompanies a call from its arrival to its end, whatever the end: a call that is dropped halfway is
//! recorded too. The last records stay in memory, and each is a line of the audit log. A record holds no arguments, no
//! answers and no secrets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use holster_audit::{AccountActed, AuditLog, CallEvent, CalledComponent, Event, VisitedHost};
use holster_broker::Unmet;
use holster_runtime::HostVisit;
use holster_types::{
    ComponentHash, ComponentName, ProfileName, ProviderId, TenantId, ThreadId, ToolName,
};
use tokio::sync::watch;

use crate::call::{Account, Call, Failure, Outcome};

/// How many calls are kept.
const KEPT: usize = 500;

/// The longest reason, in bytes: a tool's own words may be as long as it likes.
const MAX_REASON: usize = 500;

/// How many hosts of a call are told apart; the rest is left out.
const MAX_HOSTS: usize = 32;

/// What is kept of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Counts the calls that have ended since the start of this host, from 1.
    pub number: u64,
    /// When the call arrived.
    pub began_at: SystemTime,
    /// From its arrival to its end.
    pub duration: Duration,
    /// The user that it was for.
    pub tenant: TenantId,
    /// The conversation that it belonged to.
    pub thread: ThreadId,
    /// The profile that it named, or had to have.
    pub profile: Option<ProfileName>,
    /// What was called.
    pub tool: ToolName,
    /// What ran, or would have; `None` for a tool of the host itself, and where there is no such tool.
    pub component: Option<CalledComponent>,
    /// The accounts that were at its disposal.
    pub accounts: Vec<Account>,
    /// Where its requests went, or were to go, in the order of the first ones. At most 32.
    pub hosts: Vec<VisitedHost>,
    /// How it ended.
    pub end: CallEnd,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEnd {
    /// The tool answered.
    Finished,
    /// Nothing of the tool ran, since a person has to act first.
    Interrupted {
        /// The accounts that are missing.
        missing: Vec<(ProviderId, ProfileName)>,
    },
    /// There is no answer.
    Failed {
        /// Why, in at most 500 bytes. What a tool says stands in it as the tool said it.
        reason: String,
    },
    /// Whoever called did not wait for the end.
    Cancelled,
}

impl CallEnd {
    /// How it ended, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Interrupted { .. } => "interrupted",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Why there is no answer, where there is none.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Finished => None,
            Self::Interrupted { missing } => {
                let account =
                    |(provider, profile): &_| format!("`{provider}` for profile `{profile}`");
                let missing: Vec<_> = missing.iter().map(account).collect();
                Some(format!("a person has to connect {}", missing.join(", ")))
            }
            Self::Failed { reason } => Some(reason.clone()),
            Self::Cancelled => Some("whoever called did not wait for the end".to_owned()),
        }
    }

    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Finished(_) => Self::Finished,
            Outcome::Interrupted(interrupted) => Self::Interrupted {
                missing: missing(&interrupted.unmet),
            },
            // The violations would repeat what was passed.
            Outcome::Failed(Failure::InvalidArguments { tool, .. }) => Self::Failed {
                reason: format!("the arguments do not fit the input schema of `{tool}`"),
            },
            Outcome::Failed(failure) => Self::Failed {
                reason: shortened(failure.to_string()),
            },
        }
    }
}

fn missing(unmet: &Unmet) -> Vec<(ProviderId, ProfileName)> {
    let account = |missing: &holster_broker::Missing| {
        let (provider, profile) = (&missing.provider, &missing.profile);
        (provider.clone(), profile.clone())
    };
    unmet.missing().iter().map(account).collect()
}

fn shortened(mut text: String) -> String {
    const MARK: char = '…';
    if text.len() > MAX_REASON {
        text.truncate(text.floor_char_boundary(MAX_REASON - MARK.len_utf8()));
        text.push(MARK);
    }
    text
}

/// The last calls of this host.
#[derive(Debug)]
pub struct History {
    records: Mutex<Records>,
    changed: watch::Sender<()>,
    log: Arc<AuditLog>,
}

#[derive(Debug, Default)]
struct Records {
    /// How many there have been.
    last: u64,
    /// The newest last.
    kept: VecDeque<Arc<CallRecord>>,
}

impl History {
    pub(crate) fn new(log: &Arc<AuditLog>) -> Self {
        Self {
            records: Mutex::default(),
            changed: watch::Sender::default(),
            log: Arc::clone(log),
        }
    }

    /// The last calls of a user, the newest first. Those of others are in the way: 500 are kept of all users together.
    pub fn of(&self, tenant: &TenantId) -> Vec<Arc<CallRecord>> {
        let records = self.records();
        let own = records
            .kept
            .iter()
            .rev()
            .filter(|record| record.tenant == *tenant);
        own.cloned().collect()
    }

    /// The number of the newest record; 0 where there is none.
    pub fn last(&self) -> u64 {
        self.records().last
    }

    /// Sees from now on that there are more.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Accompanies a call from now on.
    pub(crate) fn begin<'a>(&'a self, call: &'a Call) -> Recording<'a> {
        Recording {
            history: self,
            call,
            began_at: SystemTime::now(),
            start: Instant::now(),
            component: None,
            accounts: Vec::new(),
            hosts: Vec::new(),
            end: None,
        }
    }

    fn keep(&self, mut record: CallRecord) {
        let record = {
            let mut records = self.records();
            records.last += 1;
            record.number = records.last;
            let record = Arc::new(record);
            if records.kept.len() == KEPT {
                records.kept.pop_front();
            }
            records.kept.push_back(Arc::clone(&record));
            record
        };
        self.changed.send_replace(());
        self.log.write(move || record.event());
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. When it is dropped, the call has ended.
pub(crate) struct Recording<'a> {
    history: &'a History,
    call: &'a Call,
    began_at: SystemTime,
    start: Instant,
    component: Option<CalledComponent>,
    accounts: Vec<Account>,
    hosts: Vec<VisitedHost>,
    end: Option<CallEnd>,
}

impl Recording<'_> {
    /// This component has the tool.
    pub(crate) fn found(&mut self, name: &ComponentName, hash: ComponentHash) {
        self.component = Some(CalledComponent {
            name: name.clone(),
            hash,
        });
    }

    /// These accounts are at the tool's disposal.
    pub(crate) fn granted<'a>(&mut self, accounts: impl Iterator<Item = &'a Account>) {
        self.accounts.extend(accounts.cloned());
    }

    /// These requests were sent, or refused.
    pub(crate) fn visited(&mut self, visits: &[HostVisit]) {
        for visit in visits {
            let known = self
                .hosts
                .iter()
                .position(|host| host.origin == visit.origin);
            let host = match known {
                Some(place) => &mut self.hosts[place],
                None if self.hosts.len() == MAX_HOSTS => continue,
                None => self.hosts.push_mut(VisitedHost {
                    origin: visit.origin.clone(),
                    requests: 0,
                    refused: 0,
                }),
            };
            match visit.refused {
                None => host.requests += 1,
                Some(_) => host.refused += 1,
            }
        }
    }

    /// The call ended like this.
    pub(crate) fn end(mut self, outcome: &Outcome) {
        if let Outcome::Finished(finished) = outcome
            && self.accounts.is_empty()
        {
            self.granted(finished.accounts.iter());
        }
        self.end = Some(CallEnd::of(outcome));
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        let end = match self.end.take() {
            Some(end) => end,
            None if std::thread::panicking() => CallEnd::Failed {
                reason: "the host failed in this call; its log says more".to_owned(),
            },
            None => CallEnd::Cancelled,
        };
        let call = self.call;
        self.history.keep(CallRecord {
            number: 0,
            began_at: self.began_at,
            duration: self.start.elapsed(),
            tenant: call.tenant.clone(),
            thread: call.thread.clone(),
            profile: call.profile.clone(),
            tool: call.tool.clone(),
            component: self.component.take(),
            accounts: std::mem::take(&mut self.accounts),
            hosts: std::mem::take(&mut self.hosts),
            end,
        });
    }
}

impl CallRecord {
    /// As a line of the audit log.
    fn event(&self) -> Event {
        let account = |account: &Account| AccountActed {
            provider: account.provider.clone(),
            profile: account.profile.clone(),
            account: account.account.clone(),
        };
        Event::Call(CallEvent {
            tenant: self.tenant.clone(),
            thread: self.thread.clone(),
            profile: self.profile.clone(),
            tool: self.tool.clone(),
            component: self.component.clone(),
            accounts: self.accounts.iter().map(account).collect(),
            hosts: self.hosts.clone(),
            ended: self.end.word().to_owned(),
            reason: self.end.reason(),
            duration_us: u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
        })
    }
}

#[cfg(test)]
mod tests;
