//! The pages for those whose connection it is not, as far as this host knows.
//!
//! They say nothing of the connection: whoever has the link may be anybody.

use axum::http::StatusCode;
use holster_callers::Callers;
use holster_core::broker::{SignInIssuer, User};
use holster_core::types::{ConnectionId, IssuerName};
use maud::{Markup, html};

use super::{
    LEAVING_POLICY, LOCAL_POLICY, POLICY, Page, choose, layout, page_of, sentence, with_code,
};
use crate::form::{ANEW, CONNECTION, KEY};

/// Asks a person who they are.
pub(super) fn ask(connection: &ConnectionId, callers: &Callers) -> Page {
    let card = html! {
        h1 { "Sign in to go on" }
        p.lead { "This link is for one user of this host. Show that it is you." }
        (ways(connection, callers, false))
        p.note { "Go on only if you asked for this link yourself." }
    };
    page("Sign in", &card, StatusCode::OK, callers)
}

/// Tells a person that they are somebody else.
pub(super) fn stranger(connection: &ConnectionId, visitor: &User, callers: &Callers) -> Page {
    let card = html! {
        h1 { "This link is for somebody else" }
        p.lead {
            "You are signed in as " strong { (visitor.tenant) }
            @if let Some(profile) = &visitor.profile { ", for the profile " strong { (profile) } " alone" }
            ", and this link is not for you."
        }
        p {
            "If somebody sent it to you, leave it: you would lend them an account of yours. If you have asked for it \
             under another name, sign in by that one."
        }
        (ways(connection, callers, true))
    };
    page("For somebody else", &card, StatusCode::FORBIDDEN, callers)
}

fn page(title: &str, card: &Markup, status: StatusCode, callers: &Callers) -> Page {
    Page {
        html: layout(title, None, card),
        policy: policy(callers),
        ..page_of(status)
    }
}

fn policy(callers: &Callers) -> &'static str {
    let is_local = |at: &SignInIssuer| at.issuer.url().host_str().is_some_and(choose::is_local);
    match callers.sign_in() {
        issuers if issuers.is_empty() => POLICY,
        issuers if issuers.values().any(is_local) => LOCAL_POLICY,
        _ => LEAVING_POLICY,
    }
}

fn ways(connection: &ConnectionId, callers: &Callers, anew: bool) -> Markup {
    let issuers = callers.sign_in();
    html! {
        @for (name, at) in issuers { (at_issuer(connection, name, at, anew)) }
        @if !callers.have_keys() {
            @if issuers.is_empty() {
                p.problem role="alert" {
                    "Nobody can sign in here yet. Whoever runs this host can name a " code { "client" } " in "
                    code { "[serve.issuers.NAME]" } ", or make you a key with " code { "holster key new" } "."
                }
            }
        } @else if issuers.is_empty() {
            (by_key(connection))
        } @else {
            section.others {
                h2 { "Another way" }
                details { summary { "Enter a key of this host" } (by_key(connection)) }
            }
        }
    }
}

fn at_issuer(
    connection: &ConnectionId,
    name: &IssuerName,
    at: &SignInIssuer,
    anew: bool,
) -> Markup {
    let host = at.issuer.url().host_str().unwrap_or_default();
    html! {
        form method="post" action={ "/sign-in/" (name) } {
            input type="hidden" name=(CONNECTION) value=(connection);
            @if anew { input type="hidden" name=(ANEW) value="yes"; }
            button.button { "Sign in at " (name) }
            p.note { "You go to " strong { (host) } ", and come back here." }
        }
    }
}

fn by_key(connection: &ConnectionId) -> Markup {
    html! {
        form method="post" action="/sign-in" autocomplete="off" {
            input type="hidden" name=(CONNECTION) value=(connection);
            div.field {
                label for="key" { "Key" }
                input #key name=(KEY) type="password" required autocomplete="off" autocapitalize="none"
                    spellcheck="false" aria-describedby="key-note";
                p.note #key-note { "The one that your agent has for this host: " code { "holster_…" } }
            }
            button.button { "Go on" }
        }
    }
}

/// Why a person was not signed in.
pub(crate) fn not_signed_in(reason: &str) -> Page {
    let card = html! {
        h1 { "You are not signed in" }
        p.lead { (with_code(&sentence(reason))) }
        p { "Nothing was done. Go back to the link as you got it, and try again." }
    };
    Page {
        html: layout("Not signed in", None, &card),
        ..page_of(StatusCode::FORBIDDEN)
    }
}
