//! What stands before every page: which requests are heard, and what every answer carries.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::pages;
use crate::site::Site;

/// No provider sends back more than a few hundred bytes.
const MAX_QUERY: usize = 16 * 1024;

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
    for (name, value) in holster_look::HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // `no-referrer` would hide the origin of our own forms as well (Fetch, "append a request `Origin` header").
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(pages::POLICY));
}
