//! Why the connect pages are not served.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use url::Url;

/// Why the connect pages are not served.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConnectError {
    #[error(
        "the connect pages cannot be served on {address}: another program listens there; end it, or set another \
         `address` in `[connect]`"
    )]
    Taken { address: SocketAddr },
    #[error("the connect pages cannot be served on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    #[error(
        "the connect pages would be open to other machines on {address}, unencrypted; set `address` in `[connect]` \
         to 127.0.0.1, or serve them behind https and set `public_url`"
    )]
    Exposed { address: SocketAddr },
    #[error(
        "`public_url` in `[connect]` is {url}, but has to be like `https://holster.example.com`: https and a host, \
         without user, path, query or fragment"
    )]
    PublicUrl { url: Url },
    #[error(
        "{} cannot be used to agree on who serves the connect pages: {error}; see that its folder can be written to and that \
         its disk has room",
        .path.display()
    )]
    File { path: PathBuf, error: io::Error },
    #[error(
        "another process holds {}, but serves no connect pages; end it, or wait until it is ready",
        .lock.display()
    )]
    Silent { lock: PathBuf },
}
