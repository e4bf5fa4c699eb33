//! A provider's file, with its addresses turned to this machine.

use holster_broker::{Provider, UrlTemplate};

/// The same address at a server of ours: the host becomes the first segment of the path.
pub(crate) fn local(address: &str, origin: &str) -> String {
    let (_, rest) = address
        .split_once("://")
        .expect("every address of a file has a scheme");
    format!("{origin}/{rest}")
}

/// The file with every address that is asked, or that a browser goes to, at `origin`. All else is as it was.
pub(crate) fn at(provider: &Provider, origin: &str) -> String {
    let mut file = toml::Table::try_from(provider).expect("what was read can be written");
    for part in ["oauth", "identity"] {
        let Some(toml::Value::Table(part)) = file.get_mut(part) else {
            continue;
        };
        for (key, value) in part {
            let toml::Value::String(address) = value else {
                continue;
            };
            if key == "url" || key == "issuer" || key.ends_with("_url") {
                *address = local(address, origin);
            }
        }
    }
    toml::to_string(&file).expect("a table can be written")
}

/// The provider with the addresses that its file leaves to the metadata of its issuer, which says that callbacks name
/// it.
pub(crate) fn served(provider: &Provider) -> Provider {
    let mut served = provider.clone();
    let oauth = served.oauth.as_mut();
    let Some(oauth) = oauth.filter(|oauth| oauth.token_url.is_none()) else {
        return served;
    };
    let issuer = oauth.issuer.as_ref().expect("something has to be known");
    let at = |name: &str| -> UrlTemplate {
        let address = format!("{}/{name}", issuer.as_str());
        address.try_into().expect("it is an address")
    };
    let addresses = ["authorize", "token", "revoke", "device"].map(|name| Some(at(name)));
    [
        oauth.authorize_url,
        oauth.token_url,
        oauth.revoke_url,
        oauth.device_url,
    ] = addresses;
    oauth.iss_expected = true;
    served
}
