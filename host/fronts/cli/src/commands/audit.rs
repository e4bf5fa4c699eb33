//! `holster audit`: what was called and which accounts acted, and whether the log still says all of it.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use holster_core::audit::{self, CallEvent, Chained, CredentialEvent, Event, Hash, Reader};
use holster_core::types::{ProfileName, ProviderId, TenantId, ToolName};
use serde_json::json;

use crate::exit::Exit;
use crate::{Global, print};

/// Show what was called and which accounts acted, and check that the log was not changed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show what was called and which accounts acted, the newest last. No arguments, no answers, no secrets.
    List(List),
    /// Check the chain: lines that were altered, taken out or put in. Prints the last hash, to be kept elsewhere.
    Verify(Verify),
}

#[derive(clap::Args)]
struct Verify {
    /// A last hash of before, which must still be in the log: nothing up to there was altered or cut off.
    #[arg(long, value_name = "HASH")]
    contains: Option<Hash>,
}

#[derive(clap::Args)]
struct List {
    /// How many lines, at most.
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 50)]
    last: usize,
    /// Of this user.
    #[arg(long, value_name = "USER")]
    tenant: Option<TenantId>,
    /// Of this profile.
    #[arg(long, short, value_name = "PROFILE")]
    profile: Option<ProfileName>,
    /// Of accounts at this provider.
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<ProviderId>,
    /// Calls of this tool.
    #[arg(long, value_name = "TOOL")]
    tool: Option<ToolName>,
    /// From then on: a time such as 2026-11-26T10:00:00Z, or how long ago, such as 2h or 3days.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<SystemTime>,
}

pub(crate) fn run(global: &Global, arguments: &Arguments) -> Result<(), Exit> {
    let folder = global.config()?.data_folder().map_err(Exit::usage)?;
    let reader = Reader::open(&audit::folder(&folder)).map_err(Exit::failed)?;
    match &arguments.command {
        Command::List(wanted) => list(global, reader, wanted),
        Command::Verify(Verify { contains }) => verify(global, reader, *contains),
    }
}

fn list(global: &Global, reader: Reader, wanted: &List) -> Result<(), Exit> {
    let (mut kept, mut broken) = (VecDeque::new(), 0_usize);
    for chained in reader {
        match chained {
            Ok(chained) if wanted.takes(&chained) => {
                if kept.len() == wanted.last {
                    kept.pop_front();
                }
                if wanted.last > 0 {
                    kept.push_back(chained);
                }
            }
            Ok(_) => {}
            Err(_) => broken += 1,
        }
    }
    if global.json {
        for chained in &kept {
            print::line(&chained.text)?;
        }
    } else {
        let rows: Vec<_> = kept.iter().map(row).collect();
        print::table(&["TIME", "USER", "WHAT", "HOW", "ACCOUNTS", "HOSTS"], &rows)?;
    }
    match broken {
        0 => Ok(()),
        _ => Err(Exit::failed(
            "the log is broken in places; `holster audit verify` says where",
        )),
    }
}

fn verify(global: &Global, reader: Reader, contains: Option<Hash>) -> Result<(), Exit> {
    let (mut lines, mut first, mut last) = (0_u64, None, None);
    let (mut broken, mut found) = (Vec::new(), false);
    for chained in reader {
        match chained {
            Ok(Chained { line, hash, .. }) => {
                lines += 1;
                first.get_or_insert(line.number);
                found |= contains == Some(hash);
                last = Some(hash);
                if let Event::Cut { last, .. } = line.event {
                    broken.push(format!(
                        "line {}: the log had been cut off; it went up to line {last} before",
                        line.number
                    ));
                }
            }
            Err(error) => broken.push(error.to_string()),
        }
    }
    if let Some(hash) = contains.filter(|_| !found) {
        broken.push(format!(
            "the line {hash} is not in the log any more: it was altered, or cut off"
        ));
    }
    if global.json {
        print::json(
            &json!({ "lines": lines, "first": first, "last_hash": last, "broken": broken }),
        )?;
    } else {
        for problem in &broken {
            print::line(problem)?;
        }
        match (lines, first, last) {
            (_, Some(first), Some(last)) if broken.is_empty() => {
                let from = if first == 1 {
                    String::new()
                } else {
                    format!(", from number {first} on (what was before is not here)")
                };
                let noun = if lines == 1 { "line" } else { "lines" };
                print::line(&format!("{lines} {noun}{from}, each in its place"))?;
                print::line(&format!("last hash: {last}"))?;
            }
            (0, ..) if broken.is_empty() => print::line("there is no line yet")?,
            _ => {}
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(Exit::Reported)
    }
}

impl List {
    fn takes(&self, chained: &Chained) -> bool {
        let line = &chained.line;
        if self.since.is_some_and(|since| line.at < since) {
            return false;
        }
        let is = |wanted: &Option<TenantId>, found: Option<&TenantId>| {
            wanted.as_ref().is_none_or(|wanted| Some(wanted) == found)
        };
        if !is(&self.tenant, line.event.tenant()) {
            return false;
        }
        let Self {
            profile,
            provider,
            tool,
            ..
        } = self;
        match &line.event {
            Event::Call(call) => {
                let has_profile = |wanted: &ProfileName| {
                    call.profile.as_ref() == Some(wanted)
                        || call.accounts.iter().any(|acted| acted.profile == *wanted)
                };
                let has_provider = |wanted: &ProviderId| {
                    call.accounts.iter().any(|acted| acted.provider == *wanted)
                };
                profile.as_ref().is_none_or(has_profile)
                    && provider.as_ref().is_none_or(has_provider)
                    && tool.as_ref().is_none_or(|wanted| call.tool == *wanted)
            }
            Event::Credential(credential) => {
                tool.is_none()
                    && profile
                        .as_ref()
                        .is_none_or(|wanted| credential.profile == *wanted)
                    && provider
                        .as_ref()
                        .is_none_or(|wanted| credential.provider == *wanted)
            }
            Event::Approved { .. } | Event::Lost { .. } | Event::Cut { .. } => {
                profile.is_none() && provider.is_none() && tool.is_none()
            }
        }
    }
}

fn row(chained: &Chained) -> Vec<String> {
    let line = &chained.line;
    let time = humantime::format_rfc3339_seconds(line.at).to_string();
    let tenant = line.event.tenant().map(ToString::to_string);
    let [what, how, accounts, hosts] = match &line.event {
        Event::Call(call) => of_call(call),
        Event::Credential(credential) => of_credential(credential),
        Event::Approved { component } => [
            "policy".to_owned(),
            format!("approved {} {}", component.name, component.hash.short()),
            String::new(),
            String::new(),
        ],
        Event::Lost { lines } => [
            "lost".to_owned(),
            format!("{lines} lines could not be written in time"),
            String::new(),
            String::new(),
        ],
        Event::Cut { last, .. } => [
            "cut".to_owned(),
            format!("somebody cut off the log, which went up to line {last}"),
            String::new(),
            String::new(),
        ],
    };
    let tenant = tenant.unwrap_or_default();
    vec![
        time.replace('T', " ").replace('Z', ""),
        tenant,
        what,
        how,
        accounts,
        hosts,
    ]
}

fn of_call(call: &CallEvent) -> [String; 4] {
    let what = match &call.component {
        Some(component) => format!(
            "{} ({} {})",
            call.tool,
            component.name,
            component.hash.short()
        ),
        None => call.tool.to_string(),
    };
    let how = match &call.reason {
        Some(reason) => format!("{}: {}", call.ended, print::summary(reason)),
        None => format!("{} in {}", call.ended, duration(call.duration_us)),
    };
    let accounts = call.accounts.iter().map(|acted| {
        let account = acted.account.as_deref().unwrap_or("an account");
        format!("{} as {account} ({})", acted.provider, acted.profile)
    });
    let hosts = call.hosts.iter().map(|host| match host.refused {
        0 => format!("{} ×{}", host.origin, host.requests),
        refused => format!("{} ×{}, {refused} refused", host.origin, host.requests),
    });
    [
        what,
        how,
        accounts.collect::<Vec<_>>().join(", "),
        hosts.collect::<Vec<_>>().join(", "),
    ]
}

fn of_credential(credential: &CredentialEvent) -> [String; 4] {
    let account = credential.account.as_deref().unwrap_or("an account");
    let whose = format!(
        "{} as {account} ({})",
        credential.provider, credential.profile
    );
    [
        "credential".to_owned(),
        credential.action.word().to_owned(),
        whose,
        String::new(),
    ]
}

fn duration(microseconds: u64) -> String {
    match microseconds {
        0..1000 => format!("{microseconds} µs"),
        1000..1_000_000 => format!("{} ms", microseconds / 1000),
        _ => format!("{} s", microseconds / 1_000_000),
    }
}

fn time(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time);
    }
    humantime::parse_duration(text)
        .ok()
        .and_then(|ago: Duration| SystemTime::now().checked_sub(ago))
        .ok_or_else(|| {
            "write a time such as 2026-11-26T10:00:00Z, or how long ago, such as 2h or 3days"
                .to_owned()
        })
}
