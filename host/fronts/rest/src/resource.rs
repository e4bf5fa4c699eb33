//! This host as a protected resource (RFC 9728): where clients learn who issues tokens for it.
//!
//! Two addresses are resources: that of `/mcp`, and that of the host for everything else. Each has its metadata, which
//! everybody may read, and a request that is refused names the metadata of what it asked for (RFC 9728 §5.1).

use axum::http::HeaderValue;
use holster_callers::Issuers;
use holster_core::types::Scopes;
use serde::Serialize;
use url::Url;

/// Before the path of a resource, at the same host (RFC 9728 §3.1).
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The endpoint of MCP.
const MCP: &str = "/mcp";

/// The metadata of a resource (RFC 9728 §2).
#[derive(Debug, Serialize)]
pub(crate) struct Metadata<'a> {
    resource: String,
    authorization_servers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
    bearer_methods_supported: [&'a str; 1],
    resource_name: &'a str,
}

/// The origins under which clients know this host, without a slash at the end: its public one, or else its own.
pub(crate) fn origins(public_url: Option<&Url>, names: &[String]) -> Vec<String> {
    match public_url {
        Some(url) => vec![url.origin().ascii_serialization()],
        None => names.iter().map(|name| format!("http://{name}")).collect(),
    }
}

/// The audiences of tokens for this host.
pub(crate) fn audiences(origins: &[String]) -> Vec<String> {
    let of = |origin: &String| {
        [
            origin.clone(),
            format!("{origin}/"),
            format!("{origin}{MCP}"),
        ]
    };
    origins.iter().flat_map(of).collect()
}

/// The metadata at that address; `None` if there is none.
pub(crate) fn metadata<'a>(issuers: &'a Issuers, origin: &str, path: &str) -> Option<Metadata<'a>> {
    let resource = match path.strip_prefix(WELL_KNOWN)? {
        "" | "/" => "/",
        MCP => MCP,
        _ => return None,
    };
    if issuers.are_none() {
        return None;
    }
    Some(Metadata {
        resource: format!("{origin}{resource}"),
        authorization_servers: issuers.names().collect(),
        scopes_supported: issuers
            .scopes()
            .into_iter()
            .flat_map(Scopes::iter)
            .collect(),
        bearer_methods_supported: ["header"],
        resource_name: "Holster",
    })
}

/// What a client is told that brings no token, or none that serves.
pub(crate) struct Challenge<'a> {
    /// Where it sent the request.
    pub(crate) path: &'a str,
    /// RFC 6750 §3.1, where it brought a token.
    pub(crate) error: Option<&'static str>,
    /// The same for people.
    pub(crate) description: Option<String>,
}

impl Challenge<'_> {
    /// `WWW-Authenticate`, for a host that takes tokens of these issuers.
    pub(crate) fn header(&self, issuers: &Issuers, origin: &str) -> HeaderValue {
        let plain = HeaderValue::from_static("Bearer");
        if issuers.are_none() {
            return plain;
        }
        let is_mcp = self.path == MCP || self.path.starts_with("/mcp/");
        let resource = if is_mcp { MCP } else { "" };
        let mut text = format!("Bearer resource_metadata=\"{origin}{WELL_KNOWN}{resource}\"");
        if let Some(error) = self.error {
            text = format!("{text}, error=\"{error}\"");
        }
        if let Some(description) = &self.description {
            text = format!("{text}, error_description=\"{description}\"");
        }
        if let Some(scopes) = issuers.scopes() {
            text = format!("{text}, scope=\"{scopes}\"");
        }
        HeaderValue::try_from(text).unwrap_or(plain)
    }
}
