//! The audit log: what was called and which accounts acted, in the order in which it happened.
//!
//! [`AuditLog::write`] adds a line, [`Reader`] reads them again. Each line names the hash of the one before, so that none
//! can be altered, taken out or put in without breaking the chain; who keeps the last hash elsewhere also knows when the
//! end was cut off. All processes of a user write to one chain. What is worth a line, others decide.

#![forbid(unsafe_code)]

mod chain;
mod event;
mod log;
mod reader;

use std::path::{Path, PathBuf};

pub use chain::{Hash, InvalidHash};
pub use event::{
    AccountActed, Action, CallEvent, CalledComponent, CredentialEvent, Event, Line, VisitedHost,
};
pub use log::AuditLog;
pub use reader::{Break, Chained, Reader};

/// The folder of the log in the data folder.
const FOLDER: &str = "audit";

/// Where the log of a data folder is.
pub fn folder(data_folder: &Path) -> PathBuf {
    data_folder.join(FOLDER)
}
