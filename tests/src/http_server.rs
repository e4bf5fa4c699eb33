//! `holster serve` as a process of its own, and requests to it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use url::Url;

use crate::Fixture;

/// A server that is gone with the test.
pub struct HttpServer {
    process: Child,
    url: Url,
}

impl HttpServer {
    /// Starts `holster serve` on a free port of the loopback interface.
    pub fn start(fixture: &Fixture) -> Self {
        Self::start_at(fixture, 0)
    }

    /// Starts `holster serve` on this port of the loopback interface.
    pub fn start_at(fixture: &Fixture, port: u16) -> Self {
        Self::start_as(Self::command_at(fixture, port))
    }

    /// `holster serve` on a free port of the loopback interface, ready to be started.
    pub fn command(fixture: &Fixture) -> Command {
        Self::command_at(fixture, 0)
    }

    fn command_at(fixture: &Fixture, port: u16) -> Command {
        let address = format!("127.0.0.1:{port}");
        fixture.command(&["--json", "serve", "--listen", &address])
    }

    /// Starts this command, which serves.
    pub fn start_as(mut command: Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("`holster` was built with the tests");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("it says where it listens");
        let said: Value = serde_json::from_str(&line).expect("it says so in JSON");
        let url = said["url"].as_str().expect("an address");
        Self {
            process,
            url: url.parse().expect("an address"),
        }
    }

    /// An address of the server.
    pub fn at(&self, path: &str) -> Url {
        self.url.join(path).expect("a path")
    }

    /// The id of the process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to end; whether it ended well within `patience`.
    pub fn end(mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let asked = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status();
        assert!(asked.expect("`kill` is there").success());
        while Instant::now() < end {
            if let Some(status) = self.process.try_wait().expect("it is ours") {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
