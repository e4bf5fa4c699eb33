"""Reads Slack channels, with the account of whoever calls."""

from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

from holster_sdk import InvalidArguments, Param, RateLimited, Unauthorised, Unavailable, auth, config, http, tool

REFUSED = {"invalid_auth", "not_authed", "token_revoked", "token_expired", "missing_scope"}


class Message(TypedDict):
    user: Annotated[str | None, Param("The id of who wrote it, if a person or a bot did.")]
    text: Annotated[str, Param("What it says, in Slack's mark-up.")]
    time: Annotated[str, Param("When it was sent, as ISO 8601 in UTC.")]


@tool(
    auth="slack",
    scopes=[
        "channels:history",
        "im:history",
        "mpim:history",
        "groups:history",
        "reactions:read",
        "mpim:read",
        "im:read",
    ],
    title="Slack messages",
    read_only=True,
)
def get_slack_messages(channel: str, limit: Annotated[int, Param(minimum=1, maximum=100)] = 20) -> list[Message]:
    """
    Fetch recent messages from a Slack channel, the latest first.

    channel(str): slack channel id, such as C0123456789
    limit(int): message limit
    """
    base_url = config.get("base_url", "https://slack.com/api")
    response = http.get(
        f"{base_url}/conversations.history",
        params={"channel": channel, "limit": limit},
        auth=auth.get("slack"),
    )
    return [message(raw) for raw in answer(response, channel)["messages"]]


def answer(response: http.Response, channel: str) -> Any:
    """Slack's answer if it is one; Slack reports most errors with status 200, in the body."""
    if response.status == 429:
        raise RateLimited(response.retry_after)
    if response.status in (401, 403):
        raise Unauthorised("slack")
    if not response.ok:
        raise Unavailable(f"Slack answered with status {response.status}; try again later")
    body = response.json()
    if body["ok"]:
        return body
    match body["error"]:
        case error if error in REFUSED:
            raise Unauthorised("slack")
        case "ratelimited":
            raise RateLimited(response.retry_after)
        case "channel_not_found":
            raise InvalidArguments(f"there is no channel `{channel}` that the account can see; give a channel's id")
        case error:
            raise Unavailable(f"Slack answered with the error `{error}`")


def message(raw: dict[str, Any]) -> Message:
    sent = datetime.fromtimestamp(float(raw["ts"]), UTC)
    return {
        "user": raw.get("user") or raw.get("bot_id"),
        "text": raw.get("text", ""),
        "time": sent.isoformat(timespec="seconds"),
    }
