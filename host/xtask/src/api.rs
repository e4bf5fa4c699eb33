//! The API on the loopback interface that stands in for those of services, as a process that ends with this one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// The API, running.
pub(crate) struct Api {
    process: Child,
    pub(crate) url: String,
}

impl Api {
    /// `program`: `loopback-api`, wherever it was built.
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        // It serves until its input closes, which is when this process ends, however that comes about.
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().context("it is piped")?).read_line(&mut url)?;
        Ok(Self {
            process,
            url: url.trim().to_owned(),
        })
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Nothing is left to be said about a process whose work is over.
        let _ = self.process.wait();
    }
}
