//! The routes of Slack, GitHub and Google Calendar that the example tools and the test components use.
//!
//! Each answers as the real service does, for the account that the token belongs to. A token that is missing, or
//! that the route's service did not issue, gets HTTP 401 on every route, Slack's included: the real Slack answers
//! `ok: false` with HTTP 200, but here nothing must hide that a wrong token arrived.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::accounts::Accounts;
use crate::{Answer, Request};

/// The answer of the service whose route this is.
pub(crate) fn answer(accounts: &Accounts, request: &Request) -> Answer {
    let path = request.path.strip_prefix("/api").unwrap_or(&request.path);
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (&request.method, segments.as_slice()) {
        (&Method::GET | &Method::POST, ["auth.test"]) => slack_identity(accounts, request),
        (&Method::GET | &Method::POST, ["conversations.history"]) => {
            slack_history(accounts, request)
        }
        (&Method::GET, ["user"]) => github_identity(accounts, request),
        (&Method::GET, ["repos", owner, repository, "issues"]) => {
            github_issues(accounts, request, &format!("{owner}/{repository}"))
        }
        (&Method::GET, ["calendar", "v3", "calendars", calendar, "events"]) => {
            google_events(accounts, request, calendar)
        }
        _ => Answer::json(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" })),
    }
}

fn slack_identity(accounts: &Accounts, request: &Request) -> Answer {
    let Some(account) = owner(&accounts.slack, request) else {
        return slack_refusal();
    };
    Answer::json(
        StatusCode::OK,
        &json!({ "ok": true, "user": account.user, "team": account.team }),
    )
}

fn slack_history(accounts: &Accounts, request: &Request) -> Answer {
    let Some(account) = owner(&accounts.slack, request) else {
        return slack_refusal();
    };
    let parameters = parameters(request);
    let channel = parameters
        .get("channel")
        .map_or("", |name| name.trim_start_matches('#'));
    let Some(messages) = account.channels.get(channel) else {
        return Answer::json(
            StatusCode::OK,
            &json!({ "ok": false, "error": "channel_not_found" }),
        );
    };
    let limit = number(&parameters, "limit", 100);
    let shown: Vec<&Value> = messages.iter().take(limit).collect();
    let has_more = messages.len() > shown.len();
    Answer::json(
        StatusCode::OK,
        &json!({ "ok": true, "messages": shown, "has_more": has_more }),
    )
}

fn slack_refusal() -> Answer {
    Answer::json(
        StatusCode::UNAUTHORIZED,
        &json!({ "ok": false, "error": "invalid_auth" }),
    )
}

fn github_identity(accounts: &Accounts, request: &Request) -> Answer {
    let Some(account) = owner(&accounts.github, request) else {
        return github_refusal();
    };
    Answer::json(StatusCode::OK, &json!({ "login": account.user }))
}

fn github_issues(accounts: &Accounts, request: &Request, repository: &str) -> Answer {
    let Some(account) = owner(&accounts.github, request) else {
        return github_refusal();
    };
    // GitHub says of what one may not see that it does not exist.
    let Some(issues) = account.repositories.get(repository) else {
        return Answer::json(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" }));
    };
    let parameters = parameters(request);
    let state = parameters.get("state").map_or("open", String::as_str);
    let labels: Vec<&str> = parameters
        .get("labels")
        .map(|labels| labels.split(',').collect())
        .unwrap_or_default();
    let is_asked_for = |issue: &&Value| {
        let carries = |label: &&str| {
            issue["labels"]
                .as_array()
                .is_some_and(|labels| labels.iter().any(|one| one["name"] == **label))
        };
        (state == "all" || issue["state"] == state) && labels.iter().all(carries)
    };
    let shown = issues
        .iter()
        .filter(is_asked_for)
        .take(number(&parameters, "per_page", 30));
    Answer::json(StatusCode::OK, &Value::Array(shown.cloned().collect()))
}

fn github_refusal() -> Answer {
    Answer::json(
        StatusCode::UNAUTHORIZED,
        &json!({ "message": "Bad credentials" }),
    )
}

fn google_events(accounts: &Accounts, request: &Request, calendar: &str) -> Answer {
    let Some(account) = owner(&accounts.google, request) else {
        let error =
            json!({ "code": 401, "message": "Invalid Credentials", "status": "UNAUTHENTICATED" });
        return Answer::json(StatusCode::UNAUTHORIZED, &json!({ "error": error }));
    };
    let Some(events) = account.calendars.get(calendar) else {
        let error = json!({ "code": 404, "message": "Not Found" });
        return Answer::json(StatusCode::NOT_FOUND, &json!({ "error": error }));
    };
    let parameters = parameters(request);
    let bound = |name: &str| parameters.get(name).map(String::as_str);
    let is_asked_for = |event: &&Value| {
        // All times here are in UTC, so that they compare as texts, whole days included.
        let time = |end: &str| {
            event[end]["dateTime"]
                .as_str()
                .or(event[end]["date"].as_str())
                .unwrap_or_default()
        };
        bound("timeMin").is_none_or(|from| time("end") > from)
            && bound("timeMax").is_none_or(|to| time("start") < to)
    };
    let most = number(&parameters, "maxResults", 250);
    let shown: Vec<&Value> = events.iter().filter(is_asked_for).take(most).collect();
    Answer::json(
        StatusCode::OK,
        &json!({ "kind": "calendar#events", "summary": account.user, "items": shown }),
    )
}

/// Whose token the request carries, among the accounts of one service.
fn owner<'a, A>(accounts: &'a BTreeMap<String, A>, request: &Request) -> Option<&'a A> {
    let value = request.headers.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| accounts.get(token))
        .flatten()
}

/// The parameters of the query, and of a body that is a form.
fn parameters(request: &Request) -> BTreeMap<String, String> {
    let is_form = request.headers.get("content-type").is_some_and(|kind| {
        kind.as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    let form = if is_form {
        String::from_utf8_lossy(&request.body)
    } else {
        "".into()
    };
    let pairs = request
        .query
        .split('&')
        .chain(form.split('&'))
        .filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (unescaped(name), unescaped(value)))
        .collect()
}

fn number(parameters: &BTreeMap<String, String>, name: &str, default: usize) -> usize {
    parameters
        .get(name)
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// What `%23general` or `a+b` stand for.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        let escaped = others
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &others[2..];
        } else {
            bytes.push(if first == b'+' { b' ' } else { first });
            rest = others;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
