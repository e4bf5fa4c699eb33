//! The page on which a person chooses a way in.

use axum::http::StatusCode;
use holster_core::broker::{
    ChoiceError, ChosenWay, ConnectPage, ConnectionState, CredentialKind, Field, Way,
};
use holster_core::types::{ExposeSecret as _, Scopes};
use maud::{Markup, html};
use url::{Host, Url};

use super::{
    LEAVING_POLICY, LOCAL_POLICY, POLICY, Page, Problem, caution, heading, layout, outside,
    sentence, whose, with_code,
};
use crate::form::{WAY, way_value};

/// More scopes than these are folded.
const SHOWN_SCOPES: usize = 6;

pub(super) fn page(
    page: &ConnectPage,
    ways: &[Way],
    closed: &[String],
    now: u64,
    problem: Option<&Problem>,
) -> Page {
    let title = format!("Connect {}", page.title);
    let card = html! {
        (heading(page, &title))
        (purpose(page, ways))
        @if page.connection.state == ConnectionState::Waiting && problem.is_none() {
            p.status role="status" {
                "Waiting for " (page.title) "'s answer. If you closed its page, begin again here."
            }
        }
        (facts(page))
        @if let Some(problem) = problem && !ways.iter().any(|way| chosen(way) == problem.way) {
            (alert(problem))
        }
        @match ways {
            [] => p.problem role="alert" { "There is no way in that this host offers." },
            [best, others @ ..] => {
                (form(page, best, "way-1", problem))
                @if !others.is_empty() {
                    section.others {
                        h2 { "Other ways" }
                        @for (way, number) in others.iter().zip(2..) {
                            (folded(page, way, &format!("way-{number}"), problem))
                        }
                    }
                }
            }
        }
        (closed_ways(closed, ways.is_empty()))
        (caution("link", page.connection.expires_at, now))
    };
    Page {
        status: problem.map_or(StatusCode::OK, status),
        policy: policy(ways),
        html: layout(&title, None, &card),
    }
}

fn status(problem: &Problem) -> StatusCode {
    match problem.error {
        ChoiceError::Unreachable { .. } => StatusCode::BAD_GATEWAY,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn policy(ways: &[Way]) -> &'static str {
    let mut hosts = ways.iter().filter_map(|way| match way {
        Way::Consent { host, .. } => Some(host),
        Way::Device { .. } | Way::Enter { .. } => None,
    });
    match hosts.next() {
        None => POLICY,
        Some(host) if is_local(host) => LOCAL_POLICY,
        Some(_) => LEAVING_POLICY,
    }
}

/// Whether a provider's page is on this machine.
pub(super) fn is_local(host: &str) -> bool {
    let url = Url::parse(&format!("http://{host}"));
    match url.as_ref().map(Url::host) {
        Ok(Some(Host::Domain(name))) => name == "localhost",
        Ok(Some(Host::Ipv4(address))) => address.is_loopback(),
        Ok(Some(Host::Ipv6(_)) | None) | Err(_) => false,
    }
}

/// What will happen, in a sentence or two.
fn purpose(page: &ConnectPage, ways: &[Way]) -> Markup {
    let by_browser = ways
        .iter()
        .any(|way| matches!(way, Way::Consent { .. } | Way::Device { .. }));
    html! {
        p.lead {
            (whose(&page.connection.owner)) " will be able to use " (page.title)
            @if by_browser { " as the account you choose." } @else { " with what you enter here." }
        }
        p.note {
            "The secret stays with this host. Tools get a stand-in for it, unless the operator reveals it to one of them."
        }
    }
}

/// What the credential has to allow, and what it takes the place of.
pub(super) fn facts(page: &ConnectPage) -> Markup {
    let scopes = &page.connection.scopes;
    html! {
        @if page.replaces.is_some() || !scopes.is_empty() {
            dl {
                @if !scopes.is_empty() {
                    dt { "Needs" }
                    dd { (scope_list(scopes)) }
                }
                @if let Some(account) = &page.replaces {
                    dt { "Replaces" }
                    dd { (account) ", which is connected now" }
                }
            }
        }
    }
}

fn scope_list(scopes: &Scopes) -> Markup {
    let list = html! {
        ul.scopes {
            @for scope in scopes.iter() { li { code { (scope) } } }
        }
    };
    html! {
        @if scopes.len() > SHOWN_SCOPES {
            details { summary { (scopes.len()) " rights" } (list) }
        } @else { (list) }
    }
}

/// A way that is not the best one: its name, and its form on demand.
fn folded(page: &ConnectPage, way: &Way, id: &str, problem: Option<&Problem>) -> Markup {
    let concerned = problem.is_some_and(|problem| problem.way == chosen(way));
    html! {
        details open[concerned] {
            summary { (name(way)) }
            (form(page, way, id, problem))
        }
    }
}

fn form(page: &ConnectPage, way: &Way, id: &str, problem: Option<&Problem>) -> Markup {
    let problem = problem.filter(|problem| problem.way == chosen(way));
    let fields = match way {
        Way::Consent { variables, .. } | Way::Device { variables } => variables,
        Way::Enter { fields, .. } => fields,
    };
    let in_field = |field: &Field| match problem.map(|problem| &problem.error) {
        Some(ChoiceError::Field { label, reason }) if *label == field.label => Some(&**reason),
        _ => None,
    };
    let general = problem.filter(|_| !fields.iter().any(|field| in_field(field).is_some()));
    html! {
        form method="post" autocomplete="off" aria-label=(name(way)) {
            input type="hidden" name=(WAY) value=(way_value(chosen(way)));
            @if let Some(problem) = general { (alert(problem)) }
            @if matches!(way, Way::Enter { .. }) { (explanation(page)) }
            @for (field, number) in fields.iter().zip(1..) {
                (input(field, &format!("{id}-{number}"), in_field(field), problem))
            }
            (button(page, way))
        }
    }
}

fn alert(problem: &Problem) -> Markup {
    html! {
        p.problem role="alert" { (with_code(&sentence(&problem.error.to_string()))) }
    }
}

/// Where a person finds what they are to enter.
fn explanation(page: &ConnectPage) -> Markup {
    html! {
        p.note {
            @if let Some(hint) = &page.hint { (with_code(&sentence(hint))) " " }
            (outside(&page.doc_url, &format!("Where {} explains it", page.title), false))
        }
    }
}

fn input(field: &Field, id: &str, error: Option<&str>, problem: Option<&Problem>) -> Markup {
    let Field {
        name,
        label,
        example,
        choices,
        value,
        secret,
        optional,
    } = field;
    let entered = problem.and_then(|problem| problem.entered.get(name));
    let shown = match entered {
        _ if *secret => None,
        Some(entered) => Some(entered.expose_secret()),
        None => Some(&**value).filter(|value| !value.is_empty()),
    };
    let example_id = example.as_ref().map(|_| format!("{id}-example"));
    let error_id = error.map(|_| format!("{id}-error"));
    let described_by: Vec<_> = error_id.iter().chain(&example_id).cloned().collect();
    let described_by = (!described_by.is_empty()).then(|| described_by.join(" "));
    html! {
        div.field {
            label for=(id) {
                (label)
                @if *optional { " " span.optional { "(optional)" } }
            }
            @if choices.is_empty() {
                input #(id) name=(name) type=(if *secret { "password" } else { "text" }) value=[shown]
                    required[!optional] autocomplete="off" autocapitalize="none" spellcheck="false"
                    aria-describedby=[described_by] aria-invalid=[error.map(|_| "true")]
                    autofocus[error.is_some()];
            } @else {
                select #(id) name=(name) aria-describedby=[described_by]
                    aria-invalid=[error.map(|_| "true")] autofocus[error.is_some()] {
                    @for choice in choices {
                        option value=(choice) selected[shown == Some(&**choice)] { (choice) }
                    }
                }
            }
            @if let (Some(error), Some(id)) = (error, error_id) {
                p.problem #(id) { (with_code(&sentence(error))) }
            }
            @if let (Some(example), Some(id)) = (example, example_id) {
                p.note #(id) { "For example " code { (example) } }
            }
        }
    }
}

fn button(page: &ConnectPage, way: &Way) -> Markup {
    let title = &page.title;
    html! {
        @match way {
            Way::Consent { host, .. } => {
                button.button { "Continue to " (title) }
                p.note { "You go to " strong { (host) } ", choose the account, and come back here." }
            }
            Way::Device { .. } => {
                button.button { "Show a code" }
                p.note { "You enter it at " (title) ", on this or any other device." }
            }
            Way::Enter { .. } => button.button { "Connect " (title) },
        }
    }
}

fn closed_ways(closed: &[String], open: bool) -> Markup {
    html! {
        @if !closed.is_empty() {
            details.closed open[open] {
                summary { "What is not open on this host" }
                ul { @for reason in closed { li { (with_code(&sentence(reason))) } } }
            }
        }
    }
}

fn chosen(way: &Way) -> ChosenWay {
    match way {
        Way::Consent { .. } => ChosenWay::Consent,
        Way::Device { .. } => ChosenWay::Device,
        Way::Enter { kind, .. } => ChosenWay::Enter(*kind),
    }
}

fn name(way: &Way) -> &'static str {
    match way {
        Way::Consent { .. } => "Consent in this browser",
        Way::Device { .. } => "Use a code, on another device",
        Way::Enter { kind, .. } => match kind {
            CredentialKind::Oauth2 | CredentialKind::ApiKey => "Enter a token or key",
            CredentialKind::Basic => "Enter a user name and a password",
            CredentialKind::KeyPair => "Enter a key and its secret",
            CredentialKind::ClientCredentials => "Enter a client id and its secret",
        },
    }
}
