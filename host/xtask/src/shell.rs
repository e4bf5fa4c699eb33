//! Running other programs.
//!
//! Four ways, by what becomes of the output: [`capture`] keeps it, [`stream`] shows it, [`tee`] does both, and
//! [`bounded`] throws it away unless the program fails in its time. An error names the command and shows what it said.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Runs a program silently and returns its standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(stdout);
    }
    bail!(
        "{}\n{}",
        failed(command, status),
        [
            stdout.trim_end(),
            String::from_utf8_lossy(&stderr).trim_end()
        ]
        .join("\n")
        .trim()
    )
}

/// Runs a program whose output goes where ours goes.
pub(crate) fn stream(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| cannot_start(command))?;
    if status.success() {
        Ok(())
    } else {
        bail!(failed(command, status))
    }
}

/// Runs a program, shows its standard output and hands each line of it to `line` as well.
pub(crate) fn tee(command: &mut Command, mut line: impl FnMut(&str)) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    let stdout = child
        .stdout
        .take()
        .context("a piped program has an output")?;
    for text in BufReader::new(stdout).split(b'\n') {
        let text = text?;
        let text = String::from_utf8_lossy(&text);
        writeln!(std::io::stdout(), "{text}")?;
        line(text.trim_end_matches('\r'));
    }
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        bail!(failed(command, status))
    }
}

/// Runs a program silently and ends it when its time is over.
pub(crate) fn bounded(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    let mut stderr = child
        .stderr
        .take()
        .context("a piped program has an output")?;
    let said = thread::spawn(move || {
        let mut text = Vec::new();
        stderr
            .read_to_end(&mut text)
            .map(|_| String::from_utf8_lossy(&text).trim().to_owned())
    });
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            if status.success() {
                return Ok(());
            }
            let said = said.join().unwrap_or_else(|_| Ok(String::new()))?;
            bail!("{}\n{said}", failed(command, status));
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            bail!(
                "`{}` had not finished after {} s and was ended",
                line(command),
                limit.as_secs()
            );
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The first program of this name in the folders of `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// `PATH` with these folders before or after those that it has.
pub(crate) fn search_path(before: &[&Path], after: &[&Path]) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let before = before.iter().map(|folder| folder.to_path_buf());
    let after = after.iter().map(|folder| folder.to_path_buf());
    std::env::join_paths(before.chain(std::env::split_paths(&path)).chain(after))
        .context("a folder with a separator in its name cannot stand in PATH")
}

/// A command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy()),
    );
    words.join(" ")
}

fn cannot_start(command: &Command) -> String {
    format!("`{}` cannot be started", line(command))
}

fn failed(command: &Command, status: ExitStatus) -> String {
    let folder = command
        .get_current_dir()
        .map(|folder| format!(" in {}", folder.display()))
        .unwrap_or_default();
    format!("`{}`{folder} failed ({status})", line(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended_when_its_time_is_over() {
        let begin = Instant::now();
        let error =
            bounded(Command::new("sleep").arg("60"), Duration::from_millis(100)).unwrap_err();
        assert!(begin.elapsed() < Duration::from_secs(30));
        assert!(
            error.to_string().starts_with("`sleep 60` had not finished"),
            "{error}"
        );
    }

    #[test]
    fn a_failure_names_the_command_and_shows_what_it_said() {
        let error = capture(Command::new("sh").args(["-c", "echo half; echo broken >&2; exit 3"]))
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("`sh -c echo half; echo broken >&2; exit 3` failed (exit status: 3)"),
            "{error}"
        );
        assert!(error.ends_with("half\nbroken"), "{error}");
    }
}
