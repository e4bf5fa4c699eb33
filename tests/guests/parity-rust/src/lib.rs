//! The Rust side of "one tool, three languages": its answers must equal those of its siblings word for word.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

use holster_sdk::auth::{self, Algorithm};
use holster_sdk::session::{self, Answer, AskError};
use holster_sdk::{Context, ToolError, config, http, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

holster_sdk::export!(report, fail, account, fetch, misuse, invite);

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    Low,
    Medium,
    High,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

#[derive(Deserialize, JsonSchema)]
struct Author {
    /// Who wrote it.
    name: String,
    /// Where to reach them.
    email: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Report {
    /// One line.
    summary: String,
    /// count times ratio.
    total: f64,
    /// The words, sorted.
    tags: Vec<String>,
    /// The author's name.
    author: String,
    /// The note, if there was one.
    note: Option<String>,
}

/// Writes a short report.
#[tool(read_only, idempotent, open_world = false)]
fn report(
    /// What the report is about.
    title: String,
    /// How many items it covers.
    #[param(default = 10, range = 1..=100)]
    count: u32,
    /// A share between nought and one.
    ratio: f64,
    /// Whether it cannot wait.
    #[param(default = false)]
    urgent: bool,
    /// How much detail.
    level: Level,
    /// Words to file it under.
    mut tags: Vec<String>,
    /// The author.
    author: Author,
    /// Anything else.
    note: Option<String>,
) -> Report {
    tags.sort();
    let urgency = if urgent { "!" } else { "" };
    let email = author
        .email
        .map(|email| format!(" <{email}>"))
        .unwrap_or_default();
    Report {
        summary: format!(
            "{title} [{}]{urgency} by {}{email}",
            level.as_str(),
            author.name
        ),
        total: f64::from(count) * ratio,
        tags,
        author: author.name,
        note,
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Failure {
    InvalidArguments,
    Unauthorised,
    RateLimited,
    Unavailable,
    Failed,
}

/// Fails in the way that it is asked to.
#[tool]
fn fail(
    /// The error to answer with.
    kind: Failure,
) -> Result<(), ToolError> {
    Err(match kind {
        Failure::InvalidArguments => ToolError::InvalidArguments("as asked".into()),
        Failure::Unauthorised => ToolError::Unauthorised("slack".into()),
        Failure::RateLimited => ToolError::RateLimited(Some(7)),
        Failure::Unavailable => ToolError::Unavailable("as asked".into()),
        Failure::Failed => ToolError::Failed("as asked".into()),
    })
}

#[derive(Serialize, JsonSchema)]
struct Account {
    /// The provider.
    provider: String,
    /// The profile.
    profile: String,
    /// The account's label.
    account: Option<String>,
    /// The scopes granted.
    scopes: Vec<String>,
    /// Whether it expires.
    expires: bool,
    /// What asking for another provider says.
    undeclared: String,
    /// What signing says.
    signature: String,
}

/// Says which account it was given.
#[tool(auth(provider = "slack", scopes = ["channels:history", "channels:read"]))]
fn account() -> Result<Account, ToolError> {
    let credential = auth::get("slack")?;
    Ok(Account {
        provider: credential.provider(),
        profile: credential.profile(),
        account: credential.account(),
        scopes: credential.scopes(),
        expires: credential.expires_at().is_some(),
        undeclared: match auth::get("github") {
            Ok(_) => "granted".into(),
            Err(auth::Error::NotDeclared(provider)) => format!("not-declared: {provider}"),
            Err(auth::Error::Unavailable(why)) => format!("unavailable: {why}"),
            Err(auth::Error::Unsupported(why)) => format!("unsupported: {why}"),
        },
        signature: match credential.sign(Algorithm::HmacSha256, b"payload") {
            Ok(signature) => signature.iter().map(|byte| format!("{byte:02x}")).collect(),
            Err(auth::Error::Unsupported(_)) => "unsupported".into(),
            Err(error) => return Err(error.into()),
        },
    })
}

#[derive(Serialize, JsonSchema)]
struct Caller {
    /// The HTTP status.
    status: u16,
    /// Who the API says it is.
    user: Option<String>,
}

#[derive(Deserialize)]
struct AuthTest {
    user: Option<String>,
}

/// Asks the API who is calling.
#[tool(auth(provider = "slack", scopes = ["channels:read"]))]
fn fetch() -> Result<Caller, ToolError> {
    let credential = auth::get("slack")?;
    let response = http::get(config::get_or("base_url", "https://slack.com/api")?)
        .path(["auth.test"])
        .authorise(&credential)
        .send()?;
    match response.status() {
        200 => Ok(Caller {
            status: 200,
            user: response.json::<AuthTest>()?.user,
        }),
        401 => Err(ToolError::Unauthorised("slack".into())),
        status => Ok(Caller { status, user: None }),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Meal {
    Fish,
    Greens,
}

#[derive(Deserialize, JsonSchema)]
struct Visit {
    /// Who comes.
    name: String,
    /// How many they are.
    guests: Option<u32>,
    /// What they eat.
    meal: Meal,
}

#[derive(Serialize, JsonSchema)]
struct Invitation {
    /// How it ended.
    ended: String,
    /// Who comes, and to what.
    who: Option<String>,
}

/// Asks who comes to dinner.
#[tool]
fn invite(context: &Context) -> Result<Invitation, ToolError> {
    context.log(session::Level::Info, "it begins: é€😀");
    context.progress_with(1.0, 2.5, "asking");
    let asked = context.ask::<Visit>("Who comes to dinner?");
    context.progress(2.0, None);
    context.log(session::Level::Warning, "it ends");
    let (ended, who) = match asked {
        Ok(Answer::Accept(Visit { name, guests, meal })) => {
            let meal = match meal {
                Meal::Fish => "fish",
                Meal::Greens => "greens",
            };
            let guests = guests.map_or_else(|| "nobody".to_owned(), |guests| guests.to_string());
            ("accept", Some(format!("{name} with {guests} for {meal}")))
        }
        Ok(Answer::Decline) => ("decline", None),
        Ok(Answer::Cancel) => ("cancel", None),
        Err(AskError::Unsupported(_)) => ("unsupported", None),
        Err(error) => return Err(error.into()),
    };
    Ok(Invitation {
        ended: ended.to_owned(),
        who,
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Misuse {
    Spin,
    Allocate,
    Recurse,
    Print,
    Trap,
    Large,
    Remember,
}

/// Uses up what a call may use.
#[tool]
fn misuse(
    /// What to use up.
    kind: Misuse,
) -> String {
    match kind {
        Misuse::Spin => spin(),
        Misuse::Allocate => allocate(),
        Misuse::Recurse => format!("done{}", recurse(0)),
        Misuse::Print => print(),
        Misuse::Trap => std::process::abort(),
        Misuse::Large => "x".repeat(100_000_000),
        Misuse::Remember => remember(),
    }
}

/// How many calls the instance has served, and how many bytes of memory that is new to it somebody has used.
fn remember() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut memory = std::hint::black_box(vec![0_u8; 16 << 20]);
    let used = memory.iter().filter(|byte| **byte != 0).count();
    memory.fill(0xa5);
    std::mem::forget(std::hint::black_box(memory));
    format!("{calls} {used}")
}

fn spin() -> ! {
    loop {
        std::hint::black_box(());
    }
}

fn allocate() -> ! {
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

/// `black_box` on both sides of the call, lest the compiler makes a loop of it.
#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1))) + depth
}

fn print() -> ! {
    loop {
        println!("a line that nobody asked for");
    }
}
