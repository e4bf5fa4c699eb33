"""The tools of this repository that are written in Python, called in the author's way."""

import json
from typing import Any

import pytest
from conftest import REPOSITORY, Server, load

from holster_sdk import (
    Failed,
    InvalidArguments,
    RateLimited,
    ToolError,
    Unauthorised,
    Unavailable,
    testing,
)

slack = load(REPOSITORY / "example-tools/slack-messages/tool.py")
parity = load(REPOSITORY / "tests/guests/parity-python/tool.py")


def get_messages(server: Server, **arguments: Any) -> Any:
    accounts = {"slack": testing.Account("a-token")}
    with testing.host(accounts=accounts, settings={"base_url": server.url}):
        [piece] = testing.call(slack.get_slack_messages, {"channel": "C1", **arguments})
    return piece.value


def test_slack_messages_are_read_with_the_account_of_the_caller(server: Server) -> None:
    written = {"user": "U1", "text": "Hello", "ts": "1700000000.000100"}
    server.answers({"ok": True, "messages": [written, {"bot_id": "B1", "ts": "1700000001.5"}]})
    assert get_messages(server, channel="C 1", limit=2) == {
        "result": [
            {"user": "U1", "text": "Hello", "time": "2023-11-14T22:13:20+00:00"},
            {"user": "B1", "text": "", "time": "2023-11-14T22:13:21+00:00"},
        ]
    }
    [received] = server.received
    assert received.path == "/conversations.history?channel=C+1&limit=2"
    assert received.headers["authorization"] == "Bearer a-token"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, {"ok": False, "error": "invalid_auth"}, Unauthorised),
        (200, {"ok": False, "error": "not_authed"}, Unauthorised),
        (200, {"ok": False, "error": "token_revoked"}, Unauthorised),
        (200, {"ok": False, "error": "token_expired"}, Unauthorised),
        (200, {"ok": False, "error": "missing_scope"}, Unauthorised),
        (401, {}, Unauthorised),
        (200, {"ok": False, "error": "channel_not_found"}, InvalidArguments),
        (200, {"ok": False, "error": "fatal_error"}, Unavailable),
        (503, {}, Unavailable),
        (200, {"ok": False, "error": "ratelimited"}, RateLimited),
        (429, {}, RateLimited),
    ],
)
def test_each_refusal_of_slack_has_its_meaning(server: Server, status: int, body: Any, error: type[ToolError]) -> None:
    server.answers(body, status=status, headers={"Retry-After": "30"})
    with pytest.raises(error) as caught:
        get_messages(server)
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after == 30
    if isinstance(caught.value, Unauthorised):
        assert caught.value.provider == "slack"


def test_the_parity_tools_are_those_of_the_other_languages() -> None:
    tools = [parity.report, parity.fail, parity.account, parity.fetch, parity.misuse]
    definitions = [testing.definition(tool) for tool in tools]
    assert [definition.name for definition in definitions] == ["report", "fail", "account", "fetch", "misuse"]
    properties = json.loads(definitions[0].input_schema)["properties"]
    assert properties["count"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "default": 10,
        "description": "How many items it covers.",
    }
    assert json.loads(definitions[0].input_schema)["required"] == ["title", "ratio", "level", "tags", "author"]


def test_the_parity_report_says_what_it_was_told() -> None:
    arguments: dict[str, Any] = {
        "title": "Ships",
        "ratio": 0.5,
        "level": "low",
        "tags": ["b", "a"],
        "author": {"name": "Ada"},
    }
    plain = {"summary": "Ships [low] by Ada", "total": 5.0, "tags": ["a", "b"], "author": "Ada"}
    [piece] = testing.call(parity.report, arguments)
    assert piece.value == plain
    arguments |= {"urgent": True, "note": "soon", "author": {"name": "Ada", "email": "a@example.com"}}
    [piece] = testing.call(parity.report, arguments)
    assert piece.value == plain | {"summary": "Ships [low]! by Ada <a@example.com>", "note": "soon"}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("invalid-arguments", InvalidArguments),
        ("unauthorised", Unauthorised),
        ("rate-limited", RateLimited),
        ("unavailable", Unavailable),
        ("failed", Failed),
    ],
)
def test_the_parity_tool_fails_as_asked(kind: str, error: type[ToolError]) -> None:
    with pytest.raises(error):
        testing.call(parity.fail, {"kind": kind})


def test_the_parity_account_tells_of_what_it_may_not_have() -> None:
    account = testing.Account("t", scopes=["channels:read"], key=b"key")
    with testing.host(accounts={"slack": account}, profile="work"):
        [piece] = testing.call(parity.account, {})
    assert piece.value == {
        "provider": "slack",
        "profile": "work",
        "scopes": ["channels:read"],
        "expires": False,
        "undeclared": "not-declared: github",
        "signature": "5d98b45c90a207fa998ce639fea6f02ecc8cc3f36fef81d694fb856b4d0a28ca",
    }


@pytest.mark.parametrize(("status", "answer"), [(200, {"status": 200, "user": "ada"}), (404, {"status": 404})])
def test_the_parity_fetch_tells_who_calls(server: Server, status: int, answer: Any) -> None:
    server.answers({"user": "ada"}, status=status)
    with testing.host(accounts={"slack": testing.Account("t")}, settings={"base_url": server.url}):
        assert testing.call(parity.fetch, {})[0].value == answer
        server.answers({}, status=401)
        with pytest.raises(Unauthorised):
            testing.call(parity.fetch, {})
