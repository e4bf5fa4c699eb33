//! A provider's file, with its addresses turned to this machine.

use holster_broker::Provider;

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
