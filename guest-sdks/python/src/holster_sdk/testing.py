"""A host for an author's own tests: accounts and settings as the test gives them, and real HTTP.

    with testing.host(accounts={"slack": testing.Account("a-token")}, settings={"base_url": server.url}):
        assert get_slack_messages("C0123456789") == []

What a tool logs and reports goes nowhere; what it asks, `answer` answers.

A tool stays a plain function, so a test may simply call it. `call` goes the way that a host goes, from JSON to content.
"""

import hashlib
import hmac
import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from holster_sdk import _answers, _host, _tool, auth, session
from holster_sdk.context import Context
from holster_sdk.http import Timeout, TooLarge, Unreachable
from holster_sdk.output import Piece, Structured

__all__ = ["Account", "Structured", "call", "definition", "host"]


@dataclass(frozen=True)
class Account:
    """An account that a test gives to its tools. With a `key` it can sign."""

    token: str = field(default="", repr=False)
    label: str | None = None
    scopes: Sequence[str] = ()
    expires_at: datetime | None = None
    key: bytes | None = field(default=None, repr=False)


@contextmanager
def host(
    *,
    accounts: Mapping[str, Account] | None = None,
    settings: Mapping[str, str] | None = None,
    profile: str = "test",
    answer: Callable[[str], Mapping[str, Any] | None] | None = None,
) -> Iterator[None]:
    """Within it, tools have these accounts, by provider, and these settings.

    `answer` stands for the person: it gets the message of a question, and gives what is entered, or `None` to decline.
    """
    before = _host.use(_TestHost(accounts or {}, settings or {}, profile, answer))
    try:
        yield
    finally:
        _host.use(before)


def call(
    function: Callable[..., Any], arguments: Mapping[str, Any], *, thread: str = "test", profile: str = "test"
) -> tuple[Piece, ...]:
    """Calls a tool as a host does, and gives the content of its answer. Raises `ToolError`."""
    tool = _tool.tool_of(function)
    context = Context(thread, profile, datetime.now(UTC) + timedelta(minutes=1))
    return _answers.Tools([tool]).call(tool.definition.name, json.dumps(arguments), lambda: context)


def definition(function: Callable[..., Any]) -> _tool.Definition:
    """The tool that a function was made into, as agents see it."""
    return _tool.tool_of(function).definition


@dataclass(frozen=True)
class _TestHost:
    accounts: Mapping[str, Account]
    settings: Mapping[str, str]
    profile: str
    answer: Callable[[str], Mapping[str, Any] | None] | None

    def credential(self, provider: str) -> _host.Handle:
        if provider not in self.accounts:
            raise auth.NotDeclared(provider)
        return _TestHandle(provider, self.profile, self.accounts[provider])

    def setting(self, name: str) -> str | None:
        return self.settings.get(name)

    def send(self, request: _host.Request) -> _host.Reply:
        kind = http.client.HTTPSConnection if request.scheme == "https" else http.client.HTTPConnection
        connection = kind(request.authority, timeout=request.timeout)
        try:
            connection.request(request.method, request.path_with_query, request.body, dict(request.headers))
            response = connection.getresponse()
            body = response.read(request.body_limit + 1)
        except TimeoutError:
            raise Timeout(request.authority) from None
        except ConnectionRefusedError:
            raise Unreachable(request.authority, "it refuses connections") from None
        except socket.gaierror:
            raise Unreachable(request.authority, "its name is not known") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(request.authority, str(error)) from error
        finally:
            connection.close()
        if len(body) > request.body_limit:
            raise TooLarge(request.authority, request.body_limit)
        headers = [(name, value.encode("latin-1")) for name, value in response.getheaders()]
        return _host.Reply(response.status, headers, body)

    def log(self, level: session.Level, message: str) -> None:
        pass

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        pass

    def ask(self, message: str, schema: str) -> session.Answer[str]:
        if self.answer is None:
            raise session.Unsupported("this test answers no questions; give `testing.host` an `answer`")
        entered = self.answer(message)
        return session.Answer("decline") if entered is None else session.Answer("accept", json.dumps(entered))


class _TestHandle:
    def __init__(self, provider: str, profile: str, account: Account) -> None:
        self._provider, self._profile, self._account = provider, profile, account

    def provider(self) -> str:
        return self._provider

    def profile(self) -> str:
        return self._profile

    def account(self) -> str | None:
        return self._account.label

    def scopes(self) -> list[str]:
        return sorted(self._account.scopes)

    def expires_at(self) -> int | None:
        return None if self._account.expires_at is None else int(self._account.expires_at.timestamp())

    def token(self) -> str:
        return self._account.token

    def header(self) -> tuple[str, str]:
        return "Authorization", f"Bearer {self._account.token}"

    def sign(self, algorithm: str, payload: bytes) -> bytes:
        if self._account.key is None:
            raise auth.Unsupported("the account is no key; it gives a token and a header")
        digests = {"hmac-sha256": hashlib.sha256, "hmac-sha512": hashlib.sha512}
        return hmac.digest(self._account.key, payload, digests[algorithm])
