//! One server for all processes of a user.
//!
//! Connections live in the vault, so it is all the same which process serves their pages. The processes agree by a
//! locked file in the data folder, which the system unlocks when its holder ends, however it ends. Beside it the
//! holder writes where the pages are; the others look there, and one of them takes over when it is gone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, StatusCode, header::HOST};
use holster_core::broker::{Broker, ConnectAddress, SignIn};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use url::{Position, Url};

use crate::{ConnectError, ConnectServer, ConnectSettings};

/// How long another process may take from holding the lock to serving.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the lock and the notice are looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a living server takes to say so, at most.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// The connect pages, served by this process or by another one.
#[derive(Debug)]
pub struct SharedServer {
    files: Files,
    broker: Arc<Broker>,
    settings: ConnectSettings,
    place: Place,
}

/// Who serves.
#[derive(Debug)]
enum Place {
    Here {
        server: ConnectServer,
        _lock: File,
    },
    Elsewhere {
        address: ConnectAddress,
        listens_on: SocketAddr,
    },
}

/// The files by which processes agree.
#[derive(Debug)]
struct Files {
    lock: PathBuf,
    notice: PathBuf,
}

/// What the holder of the lock writes for the others.
#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    url: String,
    chosen: bool,
    listens_on: SocketAddr,
}

impl SharedServer {
    /// Serves the pages, unless another process with the same data folder does.
    pub async fn ensure(
        data_folder: &Path,
        broker: Arc<Broker>,
        settings: ConnectSettings,
    ) -> Result<Self, ConnectError> {
        let files = Files::in_folder(data_folder)?;
        let patient_until = Instant::now() + PATIENCE;
        let place = loop {
            if let Some(lock) = files.try_lock()? {
                break serve(&files, lock, None, &broker, &settings).await?;
            }
            if let Some(place) = files.read()?
                && place.answers().await
            {
                break place;
            }
            if Instant::now() > patient_until {
                return Err(ConnectError::Silent { lock: files.lock });
            }
            sleep(PAUSE).await;
        };
        Ok(Self {
            files,
            broker,
            settings,
            place,
        })
    }

    /// Where browsers find the pages now.
    pub fn address(&self) -> &ConnectAddress {
        match &self.place {
            Place::Here { server, .. } => server.address(),
            Place::Elsewhere { address, .. } => address,
        }
    }

    /// Whether another process serves them.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self.place, Place::Elsewhere { .. })
    }

    /// Sees to it that the pages stay: takes over from another process that ends, at the same address if possible.
    /// Does not return unless that fails, and may be dropped at any time.
    pub async fn keep(&mut self) -> ConnectError {
        loop {
            if !self.is_elsewhere() {
                std::future::pending::<()>().await;
            }
            sleep(PAUSE).await;
            if let Err(error) = self.look().await {
                return error;
            }
        }
    }

    async fn look(&mut self) -> Result<(), ConnectError> {
        let Place::Elsewhere { listens_on, .. } = self.place else {
            return Ok(());
        };
        if let Some(lock) = self.files.try_lock()? {
            let Self {
                files,
                broker,
                settings,
                ..
            } = &*self;
            self.place = serve(files, lock, Some(listens_on), broker, settings).await?;
        } else if let Some(place) = self.files.read()? {
            // A third process may have taken over.
            self.place = place;
        }
        Ok(())
    }

    /// Ends the server if it is here; another process that [keeps](Self::keep) the pages takes over.
    pub async fn shutdown(self) {
        if let Place::Here { server, _lock } = self.place {
            // Nobody is harmed by a notice that stays: it is for a server that no longer answers.
            let _ = fs::remove_file(&self.files.notice);
            server.shutdown().await;
        }
    }
}

/// Where the pages are that a process with this data folder serves, if one does.
pub async fn find(data_folder: &Path) -> Result<Option<ConnectAddress>, ConnectError> {
    let place = Files::in_folder(data_folder)?.read()?;
    match place {
        Some(place) if place.answers().await => match place {
            Place::Elsewhere { address, .. } => Ok(Some(address)),
            Place::Here { .. } => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Serves here, as the holder of the lock.
async fn serve(
    files: &Files,
    lock: File,
    first: Option<SocketAddr>,
    broker: &Arc<Broker>,
    settings: &ConnectSettings,
) -> Result<Place, ConnectError> {
    let server = ConnectServer::start_at(first, Arc::clone(broker), settings).await?;
    let address = server.address();
    files.write(&Notice {
        url: address.url.to_string(),
        chosen: address.chosen,
        listens_on: server.listens_on(),
    })?;
    Ok(Place::Here {
        server,
        _lock: lock,
    })
}

impl Place {
    /// Whether the server of the other process answers.
    async fn answers(&self) -> bool {
        let Place::Elsewhere {
            address,
            listens_on,
        } = self
        else {
            return true;
        };
        let status = timeout(ANSWER_TIME, health(&address.url, *listens_on)).await;
        matches!(status, Ok(Ok(StatusCode::NO_CONTENT)))
    }
}

async fn health(url: &Url, listens_on: SocketAddr) -> io::Result<StatusCode> {
    let stream = TcpStream::connect(reachable(listens_on)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let request = Request::get("/health")
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    // The server closes after its answer, which ends the connection.
    let (answer, _) = tokio::join!(sender.send_request(request), connection);
    Ok(answer.map_err(io::Error::other)?.status())
}

/// The address by which this machine reaches a server that listens there.
fn reachable(listens_on: SocketAddr) -> SocketAddr {
    let ip = match listens_on.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listens_on.port())
}

impl Files {
    fn in_folder(folder: &Path) -> Result<Self, ConnectError> {
        fs::create_dir_all(folder).map_err(|error| trouble(folder, error))?;
        Ok(Self {
            lock: folder.join("connect.lock"),
            notice: folder.join("connect.json"),
        })
    }

    /// The lock, held until it is dropped; `None` if another holds it.
    fn try_lock(&self) -> Result<Option<File>, ConnectError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(&self.lock)
            .map_err(|error| trouble(&self.lock, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(trouble(&self.lock, error)),
        }
    }

    /// Where the pages are, by the last notice. What cannot be read as one is none: it will be overwritten.
    fn read(&self) -> Result<Option<Place>, ConnectError> {
        let notice = match fs::read(&self.notice) {
            Ok(notice) => notice,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(trouble(&self.notice, error)),
        };
        let Ok(notice) = serde_json::from_slice::<Notice>(&notice) else {
            return Ok(None);
        };
        let place = Url::parse(&notice.url).ok().map(|url| Place::Elsewhere {
            address: ConnectAddress {
                url,
                chosen: notice.chosen,
                // Whoever serves the pages knows; here it is asked where they are.
                sign_in: SignIn::Everybody,
            },
            listens_on: notice.listens_on,
        });
        Ok(place)
    }

    /// Puts a notice in the place of the last one, whole, for the user alone.
    fn write(&self, notice: &Notice) -> Result<(), ConnectError> {
        let folder = self.notice.parent().unwrap_or(Path::new("."));
        let write = || {
            // Made with mode 0600.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer(&mut file, notice)?;
            file.flush()?;
            file.persist(&self.notice)?;
            Ok(())
        };
        write().map_err(|error| trouble(&self.notice, error))
    }
}

fn trouble(path: &Path, error: io::Error) -> ConnectError {
    ConnectError::File {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests;
