//! The addresses of a provider's file, with the account's variables in them.
//!
//! A variable comes from whoever set up the account, not from the operator: it fills a label of a host or a segment
//! of a path and can't turn the address into another one.

use std::collections::BTreeMap;

use holster_types::Reach;
use url::Url;

use super::error::OAuthError;
use super::http::Endpoint;
use crate::provider::{Provider, UrlTemplate};

/// What an account's addresses are filled with, by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// The address as text, exactly as the file has it but for the variables.
pub(super) fn filled_text(
    provider: &Provider,
    template: &UrlTemplate,
    variables: &Variables,
) -> Result<String, OAuthError> {
    let (scheme, host, rest) = template.split();
    let host = substituted(host, |name| {
        host_part(name, &value(provider, variables, name)?)
    })?;
    let rest = substituted(rest, |name| {
        segment(name, &value(provider, variables, name)?)
    })?;
    let text = format!("{scheme}{host}{rest}");
    for name in template.split().1.split('{').skip(1) {
        let name = name.split('}').next().unwrap_or_default();
        check_host(provider, name, &text)?;
    }
    Ok(text)
}

/// The address as one that requests may go to.
pub(super) fn filled(
    provider: &Provider,
    template: &UrlTemplate,
    variables: &Variables,
) -> Result<Endpoint, OAuthError> {
    let text = filled_text(provider, template, variables)?;
    let url = Url::parse(&text).map_err(|error| OAuthError::Variable {
        name: template.variables().collect::<Vec<_>>().join("`, `"),
        reason: format!("{template} is no address with it: {error}"),
    })?;
    Ok(Endpoint::of_operator(url))
}

fn substituted(
    text: &str,
    mut value: impl FnMut(&str) -> Result<String, OAuthError>,
) -> Result<String, OAuthError> {
    let mut pieces = text.split('{');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // The template was checked when the file was read: every brace is closed.
        let (name, rest) = piece.split_once('}').unwrap_or((piece, ""));
        filled.push_str(&value(name)?);
        filled.push_str(rest);
    }
    Ok(filled)
}

fn value(provider: &Provider, variables: &Variables, name: &str) -> Result<String, OAuthError> {
    let variable = provider.variables.get(name);
    let default = || variable?.default.as_ref();
    let value = variables
        .get(name)
        .or_else(default)
        .ok_or_else(|| invalid(name, "it is not set, and has no default"))?;
    if let Some(variable) = variable {
        let admitted = variable.admit(value);
        admitted.map_err(|reason| invalid(name, &reason))?;
    }
    Ok(value.clone())
}

fn host_part(name: &str, value: &str) -> Result<String, OAuthError> {
    // People copy a host from the address bar, and servers name one as an origin.
    let value = value.strip_prefix("https://").unwrap_or(value);
    let value = value
        .strip_suffix('/')
        .unwrap_or(value)
        .to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if value.split('.').all(label) {
        Ok(value)
    } else {
        Err(invalid(
            name,
            "a part of a host name has letters, digits, dots and hyphens",
        ))
    }
}

fn segment(name: &str, value: &str) -> Result<String, OAuthError> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if value.is_empty() || value.bytes().all(|byte| byte == b'.') || !value.bytes().all(valid) {
        return Err(invalid(
            name,
            "a part of a path has letters, digits, dots, hyphens, tildes and underscores",
        ));
    }
    Ok(value.to_owned())
}

/// An account may name a host, but none that is an address or on this machine, and only those that the file allows.
fn check_host(provider: &Provider, name: &str, address: &str) -> Result<(), OAuthError> {
    let url =
        Url::parse(address).map_err(|_| invalid(name, "with it, the address is none any more"))?;
    let host = url.host_str().unwrap_or_default();
    if Reach::of(host) != Reach::Public {
        return Err(invalid(
            name,
            "it may name no address, and not this machine",
        ));
    }
    let allowed = provider.variables.get(name).map(|variable| &variable.hosts);
    let Some(allowed) = allowed.filter(|hosts| !hosts.is_empty()) else {
        return Ok(());
    };
    let port = url.port_or_known_default().unwrap_or_default();
    if allowed
        .iter()
        .any(|pattern| pattern.matches(url.scheme(), host, port))
    {
        return Ok(());
    }
    let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
    Err(invalid(
        name,
        &format!("{host} is not among {}", allowed.join(", ")),
    ))
}

fn invalid(name: &str, reason: &str) -> OAuthError {
    OAuthError::Variable {
        name: name.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> Provider {
        toml::from_str(
            "id = 'x'\ntitle = 'X'\nkinds = ['api_key']\ndoc_url = 'https://x.example/'\n\
             [variables.domain]\ntitle = 'D'\ndefault = 'login.x.example'\nhosts = ['*.x.example']\n\
             [variables.tenant]\ntitle = 'T'\n\
             [variables.region]\ntitle = 'R'\nvalues = ['com', 'eu']",
        )
        .unwrap()
    }

    fn fill(template: &str, name: &str, value: &str) -> Result<String, OAuthError> {
        let template = UrlTemplate::try_from(template.to_owned()).unwrap();
        let variables = Variables::from([(name.to_owned(), value.to_owned())]);
        filled_text(&provider(), &template, &variables)
    }

    #[test]
    fn a_variable_fills_its_place_and_nothing_else() {
        for (template, name, value, address) in [
            (
                "https://{domain}/a",
                "domain",
                "b.x.example",
                Some("https://b.x.example/a"),
            ),
            (
                "https://{domain}/a",
                "domain",
                "https://B.x.example/",
                Some("https://b.x.example/a"),
            ),
            (
                "https://{domain}/a",
                "other",
                "",
                Some("https://login.x.example/a"),
            ),
            ("https://{domain}/a", "domain", "evil.example", None),
            ("https://{domain}/a", "domain", "x.example", None),
            (
                "https://{domain}/a",
                "domain",
                "evil.example/.x.example",
                None,
            ),
            (
                "https://{domain}/a",
                "domain",
                "evil.example#.x.example",
                None,
            ),
            ("https://{domain}/a", "domain", "u@b.x.example", None),
            ("https://{domain}/a", "domain", "b.x.example:8443", None),
            ("https://{domain}/a", "domain", "b..x.example", None),
            ("https://{domain}/a", "domain", "", None),
            ("https://{tenant}/a", "tenant", "127.0.0.1", None),
            ("https://{tenant}/a", "tenant", "2130706433", None),
            ("https://{tenant}/a", "tenant", "0x7f.1", None),
            ("https://{tenant}/a", "tenant", "localhost", None),
            (
                "https://{tenant}.x.example/",
                "tenant",
                "acme",
                Some("https://acme.x.example/"),
            ),
            (
                "https://x.example/{tenant}/t",
                "tenant",
                "a-b_c.d~1",
                Some("https://x.example/a-b_c.d~1/t"),
            ),
            ("https://x.example/{tenant}/t", "tenant", "..", None),
            ("https://x.example/{tenant}/t", "tenant", "a/b", None),
            ("https://x.example/{tenant}/t", "tenant", "a?b", None),
            ("https://x.example/{tenant}/t", "tenant", "a%2fb", None),
            ("https://x.example/{tenant}/t", "tenant", "a\nb", None),
            ("https://x.example/{tenant}/t", "other", "a", None),
            (
                "https://x.{region}/t",
                "region",
                "eu",
                Some("https://x.eu/t"),
            ),
            ("https://x.{region}/t", "region", "evil.example", None),
            ("https://x.{region}/t", "region", "EU", None),
        ] {
            let filled = fill(template, name, value);
            assert_eq!(
                filled.as_deref().ok(),
                address,
                "{template} {name}={value}: {filled:?}"
            );
        }
    }
}
