"""The accounts of the caller's profile.

A tool declares what it needs, `@tool(auth="github", scopes=["repo"])`, and asks for it by `get`. What it gets is a
handle: the secret stays with the host, which puts it into the requests that go to the provider's own hosts.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from holster_sdk import _host, errors
from holster_sdk.context import instant

Algorithm = Literal["hmac-sha256", "hmac-sha512"]


class AuthError(errors.ToolError):
    """Why a credential, or an operation with it, cannot be had. Not caught, it ends the call."""

    reason: str
    """The case of the contract."""
    detail: str
    """What the host said: the provider that was not declared, or a text."""


class NotDeclared(AuthError, errors.Failed):
    """The tool did not declare this provider among its requirements."""

    reason = "not-declared"

    def __init__(self, provider: str) -> None:
        super().__init__(f"the tool asked for an account at `{provider}`, which it does not declare")
        self.detail = provider


class Unavailable(AuthError, errors.Unavailable):
    """The credential is no longer usable, for instance because the person disconnected it during the call."""

    reason = "unavailable"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.detail = why


class Unsupported(AuthError, errors.Failed):
    """The credential cannot do this; the text says what it can do."""

    reason = "unsupported"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.detail = why


class Header(NamedTuple):
    """A header that authorises a request at the provider."""

    name: str
    value: str

    def __repr__(self) -> str:
        return f"Header(name={self.name!r}, value=…)"


class Credential:
    """One account of the caller's profile at one provider, for the length of a call."""

    def __init__(self, handle: _host.Handle) -> None:
        self._handle = handle

    def __repr__(self) -> str:
        return f"<Credential for {self.provider}>"

    @property
    def provider(self) -> str:
        """The provider's id, as declared."""
        return self._handle.provider()

    @property
    def profile(self) -> str:
        """The profile that the account belongs to."""
        return self._handle.profile()

    @property
    def account(self) -> str | None:
        """The account's label, for example a login or a workspace, where it is known."""
        return self._handle.account()

    @property
    def scopes(self) -> list[str]:
        """The scopes that were granted, sorted. May be more than the tool declared."""
        return self._handle.scopes()

    @property
    def expires_at(self) -> datetime | None:
        """When the credential expires. `None` if it does not expire, or if nobody said."""
        seconds = self._handle.expires_at()
        return None if seconds is None else instant(seconds)

    def token(self) -> str:
        """The sealed token, which the host replaces by the secret in requests to the provider's own hosts."""
        return self._handle.token()

    def header(self) -> Header:
        """The header that the provider expects. `holster_sdk.http` sets it by itself, from `auth=credential`."""
        return Header(*self._handle.header())

    def sign(self, algorithm: Algorithm, payload: bytes | str) -> bytes:
        """Signs a payload, of at most 1 MiB, with the secret. Raises `Unsupported` if the credential is no key."""
        return self._handle.sign(algorithm, payload.encode() if isinstance(payload, str) else payload)


def get(provider: str) -> Credential:
    """The credential for a provider that the tool declared. Raises `AuthError`."""
    return Credential(_host.current().credential(provider))
