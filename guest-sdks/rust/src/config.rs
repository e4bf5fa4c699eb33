//! Settings that the operator gave to this component, by name.
//!
//! They are no place for secrets: those are accounts, and come by [`auth`](crate::auth).

use crate::bindings::wasi::config::store;

/// Why a setting cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the setting `{name}` cannot be read: {why}")]
pub struct Error {
    name: String,
    why: String,
}

/// The setting of this name, if the operator gave one.
pub fn get(name: &str) -> Result<Option<String>, Error> {
    let error = |why| Error {
        name: name.to_owned(),
        why,
    };
    if !crate::host_is_there() {
        return Err(error(crate::NO_HOST.to_owned()));
    }
    store::get(name).map_err(|why| match why {
        store::Error::Upstream(why) | store::Error::Io(why) => error(why),
    })
}

/// The setting of this name, or the given value.
pub fn get_or(name: &str, default: &str) -> Result<String, Error> {
    get(name).map(|value| value.unwrap_or_else(|| default.to_owned()))
}
