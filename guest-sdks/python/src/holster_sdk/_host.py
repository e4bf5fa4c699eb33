"""The host, as the rest of the SDK sees it.

In a component it is what the contract imports; in an author's tests it is what `holster_sdk.testing.host` was given.
Anywhere else there is none, and whoever asks is told so.
"""

from dataclasses import dataclass
from typing import Protocol

from holster_sdk import session
from holster_sdk.errors import Unavailable

NO_HOST = "there is no host here; a test has one within `holster_sdk.testing.host(…)`"


class Handle(Protocol):
    """A credential. Methods are named as in the contract."""

    def provider(self) -> str: ...
    def profile(self) -> str: ...
    def account(self) -> str | None: ...
    def scopes(self) -> list[str]: ...
    def expires_at(self) -> int | None: ...
    def token(self) -> str: ...
    def header(self) -> tuple[str, str]: ...
    def sign(self, algorithm: str, payload: bytes) -> bytes: ...


@dataclass(frozen=True)
class Request:
    """An HTTP request that is ready to be sent."""

    method: str
    scheme: str
    authority: str
    path_with_query: str
    headers: list[tuple[str, str]]
    body: bytes | None
    timeout: float | None
    body_limit: int


@dataclass(frozen=True)
class Reply:
    """An HTTP response, with its whole body."""

    status: int
    headers: list[tuple[str, bytes]]
    body: bytes


class Host(Protocol):
    """What a tool can ask of the host."""

    def credential(self, provider: str) -> Handle: ...
    def setting(self, name: str) -> str | None: ...
    def send(self, request: Request) -> Reply: ...
    def log(self, level: session.Level, message: str) -> None: ...
    def progress(self, done: float, total: float | None, message: str | None) -> None: ...
    def ask(self, message: str, schema: str) -> session.Answer[str]: ...


class _NoHost:
    def credential(self, provider: str) -> Handle:
        raise Unavailable(NO_HOST)

    def setting(self, name: str) -> str | None:
        raise Unavailable(NO_HOST)

    def send(self, request: Request) -> Reply:
        raise Unavailable(NO_HOST)

    def log(self, level: session.Level, message: str) -> None:
        pass

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        pass

    def ask(self, message: str, schema: str) -> session.Answer[str]:
        raise session.Unsupported(NO_HOST)


_current: Host = _NoHost()


def current() -> Host:
    """The host of this call."""
    return _current


def use(host: Host) -> Host:
    """Makes this the host, and gives the one before."""
    global _current
    before, _current = _current, host
    return before
