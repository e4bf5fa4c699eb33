//! Where a server says what it is, and where an address that it names may lead.

use holster_types::Reach;
use url::Url;

/// The addresses of an authorisation server's metadata, in the order in which they are asked: RFC 8414 §3.1 puts the path of
/// the issuer behind, OpenID Connect Discovery §4.1 before.
pub fn metadata_places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ];
    if !path.is_empty() {
        paths.insert(1, format!("/.well-known/openid-configuration{path}"));
    }
    let place = |path: String| {
        let mut place = issuer.clone();
        place.set_path(&path);
        place
    };
    paths.into_iter().map(place).collect()
}

/// Whether an address that somebody else named may be asked: `https` to a public host, or at the very place that named
/// it.
pub fn may_be_asked(url: &Url, place: Option<&Url>) -> bool {
    let is_own = |place: &Url| url.origin().is_tuple() && place.origin() == url.origin();
    let is_public = |host| Reach::of(host) == Reach::Public;
    place.is_some_and(is_own) || (url.scheme() == "https" && url.host_str().is_some_and(is_public))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_the_specifications_say() {
        for (issuer, expected) in [
            (
                "https://x.example",
                &[
                    "https://x.example/.well-known/oauth-authorization-server",
                    "https://x.example/.well-known/openid-configuration",
                ][..],
            ),
            (
                "https://x.example/a/b/",
                &[
                    "https://x.example/.well-known/oauth-authorization-server/a/b",
                    "https://x.example/.well-known/openid-configuration/a/b",
                    "https://x.example/a/b/.well-known/openid-configuration",
                ],
            ),
        ] {
            let places = metadata_places(&Url::parse(issuer).unwrap());
            let places: Vec<_> = places.iter().map(Url::as_str).collect();
            assert_eq!(places, expected, "{issuer}");
        }
    }
}
