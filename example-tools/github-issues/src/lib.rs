//! Lists the issues of a GitHub repository, with the account of the caller's profile.

#![forbid(unsafe_code)]

use holster_sdk::{ToolError, auth, config, http, tool};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    Open,
    Closed,
    All,
}

#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Issue {
    /// The number, unique in the repository.
    number: u64,
    /// The title.
    title: String,
    /// Whether it is open or closed.
    state: String,
    /// The login of who opened it, unless that account is gone.
    author: Option<String>,
    /// Where people read it.
    url: String,
    /// The names of its labels.
    labels: Vec<String>,
}

/// Lists the issues of a GitHub repository, newest first. Pull requests are left out.
#[tool(
    title = "GitHub issues",
    auth(provider = "github", scopes = ["repo"]),
    read_only,
    idempotent,
    open_world
)]
fn github_issues(
    /// The user or organisation that owns the repository.
    owner: String,
    /// The name of the repository.
    repo: String,
    /// Which issues to list.
    #[param(default = State::Open)]
    state: State,
    /// How many issues and pull requests to look at.
    #[param(default = 20, range = 1..=100)]
    limit: u32,
) -> Result<Vec<Issue>, ToolError> {
    let credential = auth::get("github")?;
    let response = http::get(config::get_or("base_url", "https://api.github.com")?)
        .path(["repos", &owner, &repo, "issues"])
        .query("state", state.as_str())
        .query("per_page", limit)
        .header("accept", "application/vnd.github+json")
        .header("user-agent", "holster-github-issues")
        .authorise(&credential)
        .send()?;
    match response.status() {
        200 => Ok(issues(response.json()?)),
        _ => Err(refusal(&response, &owner, &repo)),
    }
}

holster_sdk::export!(github_issues);

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::All => "all",
        }
    }
}

/// An issue as GitHub writes it, as far as it matters here.
#[derive(Deserialize)]
struct ApiIssue {
    number: u64,
    title: String,
    state: String,
    user: Option<ApiUser>,
    html_url: String,
    labels: Vec<ApiLabel>,
    /// Only pull requests have it; to GitHub they are issues as well.
    pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ApiUser {
    login: String,
}

#[derive(Deserialize)]
struct ApiLabel {
    name: String,
}

fn issues(page: Vec<ApiIssue>) -> Vec<Issue> {
    let issues = page
        .into_iter()
        .filter(|issue| issue.pull_request.is_none());
    issues
        .map(|issue| Issue {
            number: issue.number,
            title: issue.title,
            state: issue.state,
            author: issue.user.map(|user| user.login),
            url: issue.html_url,
            labels: issue.labels.into_iter().map(|label| label.name).collect(),
        })
        .collect()
}

/// Why there are no issues, in the words of the host.
fn refusal(response: &http::Response, owner: &str, repo: &str) -> ToolError {
    match response.status() {
        429 => ToolError::RateLimited(response.retry_after()),
        403 if response.header("x-ratelimit-remaining") == Some("0") => {
            ToolError::RateLimited(response.retry_after())
        }
        401 | 403 => ToolError::Unauthorised("github".into()),
        404 => ToolError::InvalidArguments(format!(
            "there is no repository `{owner}/{repo}`, or the account may not see it"
        )),
        status @ 500.. => ToolError::Unavailable(format!(
            "GitHub answered with status {status}; try again later"
        )),
        status => ToolError::Failed(format!("GitHub answered with status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_requests_are_no_issues_and_an_author_may_be_gone() {
        let page = r#"[
            {"number": 2, "title": "Crash", "state": "open", "user": null, "labels": [{"name": "bug"}],
             "html_url": "https://github.com/o/r/issues/2", "comments": 3},
            {"number": 1, "title": "Fix", "state": "open", "user": {"login": "nina"}, "labels": [],
             "html_url": "https://github.com/o/r/pull/1", "pull_request": {"url": "https://api.github.com"}}
        ]"#;
        assert_eq!(
            issues(serde_json::from_str(page).unwrap()),
            [Issue {
                number: 2,
                title: "Crash".into(),
                state: "open".into(),
                author: None,
                url: "https://github.com/o/r/issues/2".into(),
                labels: vec!["bug".into()],
            }]
        );
    }
}
