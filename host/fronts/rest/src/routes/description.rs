//! What the description of `/v1` says of all operations alike, and schemas that no type says by itself.

use axum::http::StatusCode;
use utoipa::Modify;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr};

use crate::problem::PROBLEM_JSON;

/// How many scopes a connection may ask for, and the longest of them in characters.
pub(super) const MAX_SCOPES: usize = 64;
pub(super) const MAX_SCOPE: usize = 256;

/// How many tools may be prepared at once.
pub(super) const MAX_TOOLS: usize = 1000;

/// A key of this host, or a token of an issuer that it trusts; not needed on the machine of a single user.
pub(super) struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// Errors are problems (RFC 9457), and the gate may refuse any request.
pub(super) struct Errors;

impl Modify for Errors {
    fn modify(&self, description: &mut OpenApi) {
        for path in description.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.post, &mut path.delete];
            operations.into_iter().flatten().for_each(describe);
        }
    }
}

fn describe(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let of_the_gate = responses.get("401").cloned();
    for status in ["403", "429"] {
        if let Some(response) = &of_the_gate {
            let response = || response.clone();
            responses.entry(status.to_owned()).or_insert_with(response);
        }
    }
    for (status, response) in responses {
        let (Ok(status), RefOr::T(response)) = (status.parse::<StatusCode>(), response) else {
            continue;
        };
        if response.description.is_empty() {
            let reason = status.canonical_reason().unwrap_or_default();
            reason.clone_into(&mut response.description);
        }
        if status.is_client_error() || status.is_server_error() {
            let content = std::mem::take(&mut response.content).into_values();
            response.content = content
                .map(|content| (PROBLEM_JSON.to_owned(), content))
                .collect();
        }
    }
}

/// Names of tools.
pub(super) fn tool_names() -> RefOr<Schema> {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9_-]{1,64}$"));
    let names = ArrayBuilder::new().items(name).max_items(Some(MAX_TOOLS));
    names.description(Some("The tools; none for all.")).into()
}

/// What tools need at a provider.
pub(super) fn scopes() -> RefOr<Schema> {
    let scope = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(MAX_SCOPE));
    let scopes = ArrayBuilder::new().items(scope).max_items(Some(MAX_SCOPES));
    let said = "What tools need there. What the account may do already is kept.";
    scopes.description(Some(said)).into()
}
