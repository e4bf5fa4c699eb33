//! `cargo xtask demo`: what Holster does, shown on real components in three languages.
//!
//! An API on the loopback interface stands in for Slack, GitHub and Google Calendar, and refuses every token that it
//! did not issue. Each command is printed before its output, as a person would type it. The demo fails if a command
//! does not do what is said beside it here.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::api::Api;
use crate::workspace::Workspace;
use crate::{components, setup, shell};

/// The accounts of one person, who has a work and a personal one at Slack: provider, profile, token.
const ACCOUNTS: &[(&str, &str, &str)] = &[
    ("slack", "work", "work-slack-token"),
    ("slack", "personal", "personal-slack-token"),
    ("github", "work", "work-github-token"),
    ("google", "work", "work-google-token"),
];

/// The components that call an API, by the provider whose API it is.
const CALLERS: &[(&str, &str)] = &[
    ("slack", "slack-messages"),
    ("github", "github-issues"),
    ("google", "calendar-events"),
];

/// The exit code of a call that waits for a person.
const INTERRUPTED: i32 = 3;

pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let toolchain = setup::prepare(workspace)?;
    components::build(workspace, &toolchain, &[])?;
    println!("demo: building holster (five minutes the first time)");
    let mut build = Command::new("cargo");
    // The whole workspace, as the tests build it: features are then the same, and wasmtime is compiled once for both.
    build.current_dir(workspace.root()).args([
        "build",
        "--quiet",
        "--release",
        "--workspace",
        "--bins",
    ]);
    shell::stream(&mut build)?;

    let api = Api::start(&workspace.program("loopback-api"))?;
    let demo = Demo::prepare(workspace, &api)?;

    for (provider, profile, token) in ACCOUNTS {
        demo.run_with(
            &["auth", "add", provider, "--profile", profile, "--stdin"],
            token,
        )?
        .succeeds()?;
    }
    demo.run(&["tools"])?.says("get_slack_messages")?;

    // No account at all, in Rust.
    demo.run(&[
        "call",
        "text_statistics",
        r#"{"text":"Tools that nobody has to trust."}"#,
    ])?
    .says(r#""words": 6"#)?;

    // One account each, in Python, Rust and JavaScript.
    let messages = [
        "call",
        "get_slack_messages",
        r#"{"channel":"general"}"#,
        "--profile",
    ];
    let issues = [
        "call",
        "github_issues",
        r#"{"owner":"harbour","repo":"pilot"}"#,
        "--profile",
    ];
    let events = ["call", "calendar_events", "{}", "--profile", "work"];
    demo.run(&[&messages[..], &["work"]].concat())?
        .says("The release is out")?;
    demo.run(&[&issues[..], &["work"]].concat())?
        .says("The tide table is an hour late")?;
    demo.run(&events)?.says("Design review")?;

    // The same tool with the other account of the same person.
    demo.run(&[&messages[..], &["personal"]].concat())?
        .says("Who brings the bread?")?;

    // A profile without the account: the tool is not started, and the person is told what to do.
    demo.run(&[&issues[..], &["personal"]].concat())?
        .ends_with(INTERRUPTED, "is not connected; open http://127.0.0.1:")?;

    println!(
        "\ndemo: everything behaved; the folder is {}",
        demo.folder.display()
    );
    Ok(())
}

/// A folder with a configuration and a vault of its own.
struct Demo {
    holster: PathBuf,
    folder: PathBuf,
}

impl Demo {
    fn prepare(workspace: &Workspace, api: &Api) -> Result<Self> {
        let folder = workspace.target().join("demo");
        // What was compiled before stays: it is found by content. The accounts are those of this run.
        let data = folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(&folder)?;
        let text = configuration(&workspace.plugin_directory(), &api.url);
        fs::write(folder.join("holster.toml"), text)?;
        Ok(Self {
            holster: workspace.program("holster"),
            folder,
        })
    }

    /// Shows a command, runs it, shows what it said.
    fn run(&self, words: &[&str]) -> Result<Answer> {
        self.run_with(words, "")
    }

    /// The same, with something on its standard input, which is not shown.
    fn run_with(&self, words: &[&str], input: &str) -> Result<Answer> {
        let shown: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        println!("\n$ holster {}", shown.join(" "));
        let mut command = Command::new(&self.holster);
        // It finds `holster.toml` in the folder that it runs in.
        command.args(words).current_dir(&self.folder);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command
            .spawn()
            .with_context(|| format!("{} cannot be started", self.holster.display()))?;
        let mut stdin = process.stdin.take().context("it is piped")?;
        // A command that reads no input may have ended by now; how it ended is what counts.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = process.wait_with_output()?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        print!("{said}");
        Ok(Answer {
            command: shown.join(" "),
            code: output.status.code(),
            said,
        })
    }
}

/// How a command ended.
struct Answer {
    command: String,
    code: Option<i32>,
    said: String,
}

impl Answer {
    fn succeeds(self) -> Result<()> {
        self.ends_with(0, "")
    }

    fn says(self, phrase: &str) -> Result<()> {
        self.ends_with(0, phrase)
    }

    fn ends_with(self, code: i32, phrase: &str) -> Result<()> {
        let Self {
            command,
            code: ended,
            said,
        } = self;
        if ended != Some(code) {
            let ended = ended.map_or_else(
                || "by a signal".to_owned(),
                |code| format!("with code {code}"),
            );
            bail!("`holster {command}` ended {ended}, and should have ended with code {code}");
        }
        if !said.contains(phrase) {
            bail!("`holster {command}` did not say \"{phrase}\"");
        }
        Ok(())
    }
}

/// The providers' secrets may go to the loopback API, and the tools are told to ask it instead of the real ones.
pub(crate) fn configuration(plugins: &Path, api: &str) -> String {
    // TOML's single quotes leave a path's backslashes alone.
    let common = format!(
        "plugins = '{}'\ndata = \"data\"\ndefault_profile = \"work\"\n\n[cache]\ndirectory = \"code\"\n",
        plugins.display()
    );
    let caller = |(provider, component): &(&str, &str)| {
        format!(
            "[providers.{provider}]\nhosts = [\"{api}\"]\n\n[components.{component}.config]\nbase_url = \"{api}\"\n"
        )
    };
    let parts: Vec<String> = std::iter::once(common)
        .chain(CALLERS.iter().map(caller))
        .collect();
    parts.join("\n")
}

/// A word as it must be typed.
fn quoted(word: &str) -> String {
    let is_plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./:=".contains(c));
    if is_plain {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
