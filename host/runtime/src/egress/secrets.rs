//! Stand-ins become secrets, in the places where the providers take them.
//!
//! A secret comes into the value of a header, into the parameter of the query that its provider's file names, and, of a
//! pair that the provider wants to see whole, into a second header. Anywhere else a stand-in stays what it is.

use holster_types::{ExposeSecret, Grant};
use http::header::{HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Uri};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

use super::{Denied, Origin};
use crate::sealing::Sealed;

/// Puts the secrets into a request that goes to `origin`. Gives the grant whose secret it carries: the last, if it
/// carries several.
pub(super) fn unseal<'g, B>(
    request: &mut Request<B>,
    origin: &Origin<'_>,
    grants: &'g [Sealed],
) -> Result<Option<&'g Grant>, Denied> {
    let mut carried = None;
    for sealed in grants {
        let denied = || Denied::SealedToken(sealed.grant.provider.to_string());
        let admit = || {
            if origin.fits(&sealed.grant.hosts) {
                Ok(())
            } else {
                Err(denied())
            }
        };
        let mut is_carried = false;
        for value in request.headers_mut().values_mut() {
            let Some(unsealed) = value.to_str().ok().and_then(|text| sealed.unseal(text)) else {
                continue;
            };
            admit()?;
            *value = secret_value(&unsealed).ok_or_else(denied)?;
            is_carried = true;
        }
        let parameter = sealed.grant.query.as_deref();
        let uri = request.uri();
        if let Some(target) = parameter.and_then(|name| with_parameter(uri, name, sealed)) {
            admit()?;
            *request.uri_mut() = with_target(uri, &target).ok_or_else(denied)?;
            is_carried = true;
        }
        if is_carried {
            carry_along(request, &sealed.grant).ok_or_else(denied)?;
            carried = Some(&sealed.grant);
        }
    }
    Ok(carried)
}

/// The second part of a pair, where the provider wants to see it; `None` if it cannot be sent.
fn carry_along<B>(request: &mut Request<B>, grant: &Grant) -> Option<()> {
    if let (Some(name), Some(second)) = (&grant.secret_header, grant.secret.signing()) {
        let name = HeaderName::try_from(name).ok()?;
        let value = secret_value(second.expose_secret())?;
        request.headers_mut().insert(name, value);
    }
    Some(())
}

/// `None` for a secret with a line break in it, which would be a header of its own.
fn secret_value(secret: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(secret).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Path and query with the secret in the parameter `name`, wherever that is the stand-in. `None` where it is not.
fn with_parameter(uri: &Uri, name: &str, sealed: &Sealed) -> Option<Zeroizing<String>> {
    let query = uri.query()?;
    let is_named = |written: &str| percent_decode_str(written).eq(name.bytes());
    let mut is_carried = false;
    let mut written = Zeroizing::new(format!("{}?", uri.path()));
    for (position, parameter) in query.split('&').enumerate() {
        if position > 0 {
            written.push('&');
        }
        match parameter.split_once('=') {
            Some((key, value)) if is_named(key) && value == sealed.token() => {
                is_carried = true;
                let secret = sealed.grant.secret.sent().expose_secret();
                written.extend([key, "="]);
                written.extend(utf8_percent_encode(secret, NON_ALPHANUMERIC));
            }
            _ => written.push_str(parameter),
        }
    }
    is_carried.then_some(written)
}

fn with_target(uri: &Uri, target: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use holster_types::GrantSecret;

    use super::*;
    use crate::sealing::tests::grant;

    fn request(uri: &str, header: &str) -> Request<()> {
        let request = Request::builder().uri(uri).header("x-key", header);
        request.body(()).unwrap()
    }

    fn unsealed<'g>(
        request: &mut Request<()>,
        grants: &'g [Sealed],
    ) -> Result<Option<&'g Grant>, Denied> {
        let uri = request.uri().clone();
        unseal(request, &Origin::of(&uri).unwrap(), grants)
    }

    #[test]
    fn a_secret_comes_into_the_parameter_that_its_provider_names_and_into_no_other() {
        let mut by_query = grant("a/b &c=é", &["x.example"]);
        by_query.query = Some("api_key".into());
        let grants = [Sealed::seal(by_query, false)];
        let token = grants[0].shown().to_owned();
        let secret = "a%2Fb%20%26c%3D%C3%A9";
        for (asked, sent) in [
            (
                format!("https://x.example/a?q=1&api_key={token}&z"),
                format!("/a?q=1&api_key={secret}&z"),
            ),
            (
                format!("https://x.example?api%5Fkey={token}"),
                format!("/?api%5Fkey={secret}"),
            ),
            (
                format!("https://x.example/a?API_KEY={token}"),
                format!("/a?API_KEY={token}"),
            ),
            (
                format!("https://x.example/{token}?api_key=x{token}"),
                format!("/{token}?api_key=x{token}"),
            ),
        ] {
            let mut request = request(&asked, "none");
            let carried = unsealed(&mut request, &grants).unwrap();
            assert_eq!(carried.is_some(), sent.contains(secret), "{asked}");
            assert_eq!(request.uri().path_and_query().unwrap().as_str(), sent);
            assert_eq!(request.uri().host(), Some("x.example"));
        }
        let mut elsewhere = request(&format!("https://evil.example/?api_key={token}"), "none");
        let refused = unsealed(&mut elsewhere, &grants).unwrap_err();
        assert!(matches!(refused, Denied::SealedToken(_)), "{refused}");
        assert!(!elsewhere.uri().to_string().contains(secret));
    }

    #[test]
    fn the_second_part_of_a_pair_travels_along_with_the_first_alone() {
        let mut pair = grant("", &["x.example"]);
        pair.secret = GrantSecret::KeyPair {
            key: "first".into(),
            secret: "second".into(),
        };
        pair.secret_header = Some("x-second".into());
        let grants = [Sealed::seal(pair, false)];

        let mut bare = request("https://x.example/", "none");
        assert!(unsealed(&mut bare, &grants).unwrap().is_none());
        assert!(!bare.headers().contains_key("x-second"));

        let mut both = request("https://x.example/", grants[0].shown());
        both.headers_mut()
            .append("x-second", HeaderValue::from_static("forged"));
        unsealed(&mut both, &grants).unwrap();
        assert_eq!(both.headers()["x-key"], "first");
        let seconds: Vec<_> = both.headers().get_all("x-second").iter().collect();
        assert_eq!(seconds, ["second"]);
        assert!(seconds[0].is_sensitive());

        let mut elsewhere = request("https://evil.example/", grants[0].shown());
        assert!(unsealed(&mut elsewhere, &grants).is_err());
        assert!(!elsewhere.headers().contains_key("x-second"));
    }
}
