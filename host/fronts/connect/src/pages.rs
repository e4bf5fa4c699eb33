//! The pages, as functions of what they show.
//!
//! `maud` escapes whatever is put into them. They work without a script, by keyboard and by ear, in the dark and on a
//! telephone. What the page of a connection offers is in `pages/choose.rs`; how all of them look, in
//! `pages/connect.css` and, as far as other pages of this host look like that too, in `holster-look`.

mod choose;
mod sign_in;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use axum::response::{IntoResponse, Response};
use holster_callers::Callers;
use holster_core::broker::{
    ChoiceError, ChosenWay, ConnectPage, Connection, ConnectionState, DeviceCode, Owner, Stage,
};
use holster_core::types::{SecretString, TenantId};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use url::Url;

pub(crate) use sign_in::not_signed_in;

/// What a page may do: nothing but look like itself, and send its form to where it came from.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// The same for a page whose form leads to a provider: Chromium and Safari hold a form to its `form-action` on every
/// redirect that follows, and a provider's login may go through hosts that nobody can list.
const LEAVING_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' https:; \
    base-uri 'none'; frame-ancestors 'none'";

/// The same for a provider on this machine, as in tests.
const LOCAL_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self' https: \
    http://127.0.0.1:* http://localhost:*; base-uri 'none'; frame-ancestors 'none'";

/// How the pages look.
pub(crate) static STYLE: LazyLock<String> =
    LazyLock::new(|| [holster_look::STYLE, include_str!("pages/connect.css")].concat());

/// How many tiles `look.css` has colours for.
const COLOURS: usize = 8;

/// A page, and what its browser may do with it.
pub(crate) struct Page {
    status: StatusCode,
    policy: &'static str,
    html: Markup,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let policy = HeaderValue::from_static(self.policy);
        (self.status, [(CONTENT_SECURITY_POLICY, policy)], self.html).into_response()
    }
}

/// A choice that was not taken, to be shown where it was made.
pub(crate) struct Problem {
    pub(crate) way: ChosenWay,
    pub(crate) error: ChoiceError,
    /// What was entered; what is no secret is shown again.
    pub(crate) entered: BTreeMap<String, SecretString>,
}

/// The page of a connection at that time, in seconds since the Unix epoch.
pub(crate) fn connection(
    page: &ConnectPage,
    callers: &Callers,
    now: u64,
    problem: Option<&Problem>,
) -> Page {
    let id = &page.connection.id;
    match &page.stage {
        Stage::SignIn => sign_in::ask(id, callers),
        Stage::Stranger { visitor } => sign_in::stranger(id, visitor, callers),
        Stage::Choose { ways, closed } => choose::page(page, ways, closed, now, problem),
        Stage::Code(code) => code_page(page, code, now),
        Stage::Elsewhere => elsewhere(page),
        Stage::Over => over(page),
    }
}

fn code_page(page: &ConnectPage, code: &DeviceCode, now: u64) -> Page {
    let title = &page.title;
    let card = html! {
        (heading(page, &format!("Connect {title}")))
        p.lead {
            "Enter this code at " (title) ", on this or any other device. " (whose(&page.connection.owner))
            " will be able to use the account that you choose there."
        }
        p.code { (code.user_code) }
        @match &code.complete_url {
            Some(url) => (outside(url, "Open with the code filled in", true)),
            None => (outside(&code.verification_url, "Open the page for the code", true)),
        }
        p.note { "The page is " (outside(&code.verification_url, &code.verification_url, false)) "." }
        p.status role="status" { "Waiting for " (title) "'s answer. This page looks by itself every few seconds." }
        (choose::facts(page))
        (caution("code", code.expires_at, now))
    };
    let html = layout(&format!("Connect {title}"), Some(5), &card);
    Page {
        html,
        ..page_of(StatusCode::OK)
    }
}

fn elsewhere(page: &ConnectPage) -> Page {
    let card = html! {
        (heading(page, "Opened in another browser"))
        p.lead {
            "Somebody has begun to connect " (page.title) " with this link in another browser, so it can only be \
             finished there."
        }
        p {
            "If that was you, go back to that browser. If not, the link has got to somebody else: ask for a new one \
             where you got this one, and connect only what you asked for yourself."
        }
    };
    Page {
        html: layout("Opened in another browser", None, &card),
        ..page_of(StatusCode::FORBIDDEN)
    }
}

fn over(page: &ConnectPage) -> Page {
    let Connection { owner, state, .. } = &page.connection;
    let title = &page.title;
    let card = match state {
        ConnectionState::Connected { account } => html! {
            (outcome("good", "✓"))
            h1 { (title) " is connected" }
            p.lead {
                @if let Some(account) = account {
                    (whose(owner)) " now uses " (title) " as " strong { (account) } "."
                } @else {
                    (whose(owner)) " can use " (title) " now."
                }
            }
            p { "You can close this page and go back to where you came from." }
        },
        ConnectionState::Refused { reason } => html! {
            (outcome("bad", "✕"))
            h1 { (title) " was not connected" }
            p.lead { (with_code(&sentence(reason))) }
            p {
                "Nothing has changed"
                @if let Some(account) = &page.replaces {
                    ": " strong { (account) } " stays connected"
                }
                ". To try again, ask for a new link where you got this one."
            }
        },
        _ => html! {
            (outcome("bad", "…"))
            h1 { "This link has expired" }
            p.lead { "Nobody finished connecting " (title) " in time, and the link works no more." }
            p { "Nothing has changed. To try again, ask for a new link where you got this one." }
        },
    };
    let name = match state {
        ConnectionState::Connected { .. } => "Connected",
        ConnectionState::Refused { .. } => "Not connected",
        _ => "Expired",
    };
    Page {
        html: layout(name, None, &card),
        ..page_of(StatusCode::OK)
    }
}

/// A page that says one thing.
fn message(status: StatusCode, title: &str, text: &str) -> Page {
    let card = html! {
        h1 { (title) }
        p.lead { (text) }
    };
    Page {
        html: layout(title, None, &card),
        ..page_of(status)
    }
}

pub(crate) fn not_found() -> Page {
    message(
        StatusCode::NOT_FOUND,
        "There is nothing here",
        "The link may have been copied only in part, or be so old that it is forgotten. Ask for a new one where you \
         got it.",
    )
}

pub(crate) fn not_allowed() -> Page {
    message(
        StatusCode::METHOD_NOT_ALLOWED,
        "That is not how this page is asked",
        "Open the link in your browser.",
    )
}

pub(crate) fn other_name(own: &Url) -> Page {
    let card = html! {
        h1 { "This host has another name" }
        p.lead { "Open the link as you got it. It begins with " code { (own) } "." }
    };
    Page {
        html: layout("This host has another name", None, &card),
        ..page_of(StatusCode::MISDIRECTED_REQUEST)
    }
}

pub(crate) fn other_origin() -> Page {
    message(
        StatusCode::FORBIDDEN,
        "That did not come from this page",
        "Another site sent it, or your browser hides where it came from. Nothing was done. Open the link itself, and \
         choose there.",
    )
}

pub(crate) fn no_cookie() -> Page {
    message(
        StatusCode::FORBIDDEN,
        "Your browser sent no cookie",
        "Without one it cannot be known again when the provider sends it back. Nothing was done. Allow cookies for \
         this host, open the link again, and choose there.",
    )
}

pub(crate) fn too_large(status: StatusCode) -> Page {
    message(
        status,
        "That is too much",
        "More was sent than belongs here. Nothing was done. Go back and enter less.",
    )
}

pub(crate) fn too_slow() -> Page {
    message(
        StatusCode::REQUEST_TIMEOUT,
        "That took too long",
        "What you entered did not arrive in time. Nothing was done. Go back and try again.",
    )
}

pub(crate) fn unreadable() -> Page {
    message(
        StatusCode::BAD_REQUEST,
        "That cannot be read",
        "What was sent is no form of this page. Nothing was done. Open the link again, and choose there.",
    )
}

pub(crate) fn failed() -> Page {
    message(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong here",
        "This host could not do it; its log says why. Try again, or tell whoever runs it.",
    )
}

fn page_of(status: StatusCode) -> Page {
    Page {
        status,
        policy: POLICY,
        html: PreEscaped(String::new()),
    }
}

fn layout(title: &str, refresh: Option<u32>, card: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = refresh {
                    meta http-equiv="refresh" content=(seconds);
                }
                title { (title) " · Holster" }
                link rel="icon" href=(holster_look::ICON);
                link rel="stylesheet" href="/connect.css";
            }
            body {
                main { (card) }
                footer { "Served by Holster, the host of your agent's tools" }
            }
        }
    }
}

/// The provider's name under a tile with its first letter, and whose account it is about.
fn heading(page: &ConnectPage, text: &str) -> Markup {
    let Connection { provider, .. } = &page.connection;
    let letter = page
        .title
        .chars()
        .next()
        .map(|first| first.to_uppercase().to_string());
    let colour = provider.as_str().bytes().map(usize::from).sum::<usize>() % COLOURS;
    html! {
        div.tile.{ "tile-" (colour) } aria-hidden="true" { (letter.unwrap_or_default()) }
        h1 { (text) }
    }
}

fn outcome(class: &str, sign: &str) -> Markup {
    html! { div.tile.(class) aria-hidden="true" { (sign) } }
}

/// The profile, with the user where there is more than one; at the beginning of a sentence.
fn whose(owner: &Owner) -> Markup {
    html! {
        "The profile " strong { (owner.profile) }
        @if owner.tenant != TenantId::local() {
            " of " strong { (owner.tenant) }
        }
    }
}

/// A link that leaves this host. An address of any other kind than these is shown, not linked.
fn outside(url: &str, text: &str, button: bool) -> Markup {
    let linkable = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    html! {
        @if linkable {
            a.button[button] href=(url) target="_blank" rel="noopener noreferrer" { (text) }
        } @else {
            code { (url) }
        }
    }
}

/// A text in which backticks mark what is code.
fn with_code(text: &str) -> Markup {
    html! {
        @for (position, part) in text.split('`').enumerate() {
            @if position % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The text with a capital at its beginning and a full stop at its end.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first: String = rest
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    let stop = if text.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{first}{}{stop}", rest.as_str())
}

/// Who gets such a link from somebody else would connect their account to that other person's profile.
fn caution(what: &str, until: u64, now: u64) -> Markup {
    html! {
        p.note {
            "Go on only if you asked for this yourself. The " (what) " works for " (time_left(until, now)) "."
        }
    }
}

/// How long it is until then. A server does not know the clock on the reader's wall.
fn time_left(until: u64, now: u64) -> String {
    match until.saturating_sub(now).div_ceil(60) {
        0 => "no longer".to_owned(),
        1 => "another minute".to_owned(),
        minutes @ 2..120 => format!("another {minutes} minutes"),
        minutes => format!("another {} hours", minutes / 60),
    }
}

#[cfg(test)]
mod tests;
