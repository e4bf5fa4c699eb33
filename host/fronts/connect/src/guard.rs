//! What stands before every page: which requests are heard, and what every answer carries.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::pages;
use crate::site::Site;

/// No provider sends back more than a few hundred bytes.
const MAX_QUERY: usize = 16 * 1024;

/// What every answer carries.
const HEADERS: [(HeaderName, &str); 8] = [
    (CACHE_CONTROL, "no-store"),
    // `no-referrer` would hide the origin of our own forms as well (Fetch, "append a request `Origin` header").
    (REFERRER_POLICY, "same-origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// Answers a request that is not for these pages, passes on any other, and sees that no answer lacks a header.
pub(crate) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&site, &request) {
        Some(page) => page.into_response(),
        None => next.run(request).await,
    };
    protect(response.headers_mut());
    response
}

fn refusal(site: &Site, request: &Request) -> Option<pages::Page> {
    // A page elsewhere can make its own name lead to this address, but not change what it calls us.
    let Some(name) = site.name(request.headers()) else {
        return Some(pages::other_name(&site.address.url));
    };
    // RFC 9112 §3.2.2: an absolute target goes before `Host`.
    if request
        .uri()
        .authority()
        .is_some_and(|target| target != name)
    {
        return Some(pages::other_name(&site.address.url));
    }
    if request
        .uri()
        .query()
        .is_some_and(|query| query.len() > MAX_QUERY)
    {
        return Some(pages::too_large(StatusCode::URI_TOO_LONG));
    }
    None
}

fn protect(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(pages::POLICY));
}
