"""Outgoing HTTP, through the host.

`get`, `post` and `request` wait for the whole `Response`, of at most 4 MiB unless the tool says otherwise. A status is
never an error here, redirects are not followed, and which hosts can be reached is the host's to say. What gives no
response raises one of the errors below, which end the call if they are not caught.
"""

import json as _json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from holster_sdk import _host, errors
from holster_sdk.auth import Credential

DEFAULT_BODY_LIMIT = 4 << 20
"""How many bytes of a response's body are read, unless `body_limit` says otherwise."""

_Param = str | int | float | bool | None
Params = Mapping[str, _Param | list[_Param]]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class InvalidRequest(errors.Failed):
    """The request cannot be sent as it is."""


class Refused(errors.Failed):
    """The host's policy, or a limit, does not allow the request."""

    def __init__(self, host: str) -> None:
        super().__init__(f"the request to `{host}` was refused by the policy of this tool, as its operator set it")


class TooLarge(errors.Failed):
    """The body of the response is too large."""

    def __init__(self, host: str, limit: int) -> None:
        super().__init__(f"the answer of `{host}` is larger than {limit} bytes")


class UnexpectedJson(errors.Failed):
    """The body of the response is not JSON."""

    def __init__(self, host: str, status: int, why: object) -> None:
        super().__init__(f"the answer of `{host}` (status {status}) is not the JSON expected: {why}")


class Timeout(errors.Unavailable):
    """The service took too long."""

    def __init__(self, host: str) -> None:
        super().__init__(f"`{host}` did not answer in time")


class Unreachable(errors.Unavailable):
    """The service could not be reached, or went away."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(f"`{host}` cannot be reached: {why}")


class Headers(Mapping[str, str]):
    """The headers of a response, by name in any case. Several of one name are joined by commas (RFC 9110 §5.3)."""

    def __init__(self, fields: list[tuple[str, bytes]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in fields:
            key, text = name.lower(), value.decode("latin-1")
            self._values[key] = f"{self._values[key]}, {text}" if key in self._values else text

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Response:
    """A response, with its whole body."""

    def __init__(self, host: str, reply: _host.Reply) -> None:
        self._host = host
        self.status = reply.status
        self.headers = Headers(reply.headers)
        self.content = reply.body

    def __repr__(self) -> str:
        return f"<Response {self.status} of {self._host}>"

    @property
    def ok(self) -> bool:
        """Whether the status is one of success, 200 to 299."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text. What is not UTF-8 is replaced."""
        return self.content.decode("utf-8", "replace")

    @property
    def retry_after(self) -> int | None:
        """The seconds for which the service asks for patience, where it says so as a number."""
        return errors.RateLimited(self.headers.get("retry-after")).retry_after

    def json(self) -> Any:
        """The body as a value, read from JSON."""
        try:
            return _json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise UnexpectedJson(self._host, self.status, error) from None


def request(
    method: str,
    url: str,
    *,
    params: Params | None = None,
    headers: Mapping[str, str] | None = None,
    auth: Credential | None = None,
    json: Any = None,
    body: bytes | str | None = None,
    timeout: float | None = None,
    body_limit: int = DEFAULT_BODY_LIMIT,
) -> Response:
    """Sends a request, and waits for the whole response.

    Args:
        method: In capitals.
        url: An absolute URL with the scheme `https` or `http`.
        params: Appended to the query. What is `None` is left out; a list gives its name several times.
        headers: By name.
        auth: Sets the header by which the provider knows this account.
        json: Becomes the body, with its `content-type`.
        body: The body, as bytes or text.
        timeout: Seconds to wait for a connection, for the first byte, and between any two parts of the body. Unless it
            is set, only the deadline of the call ends the waiting.
        body_limit: How many bytes the body of the response may have.
    """
    scheme, authority, path_with_query = _parsed(url, params)
    fields = {name.lower(): value for name, value in (headers or {}).items()}
    if json is not None:
        if body is not None:
            raise TypeError("a request has either `json` or `body`")
        body = _json.dumps(json, ensure_ascii=False, allow_nan=False)
        fields = {"content-type": "application/json"} | fields
    if auth is not None:
        name, value = auth.header()
        fields[name.lower()] = value
    data = body.encode() if isinstance(body, str) else body
    if data is not None:
        fields["content-length"] = str(len(data))
    for name, value in fields.items():
        if not (_TOKEN.fullmatch(name) and _FIELD_VALUE.fullmatch(value)):
            raise InvalidRequest(f"the header `{name}` cannot be sent: its name or value has a forbidden character")
    reply = _host.current().send(
        _host.Request(method, scheme, authority, path_with_query, list(fields.items()), data, timeout, body_limit)
    )
    return Response(authority, reply)


def get(url: str, *, params: Params | None = None, **options: Any) -> Response:
    """Sends a GET request, with the options of `request`."""
    return request("GET", url, params=params, **options)


def post(url: str, *, json: Any = None, **options: Any) -> Response:
    """Sends a POST request, with the options of `request`."""
    return request("POST", url, json=json, **options)


def _parsed(url: str, params: Params | None) -> tuple[str, str, str]:
    """Scheme, authority, and path with query. A fragment is not sent (RFC 9110 §7.1)."""
    shown = url.partition("?")[0]  # a query may hold what nobody should see
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username
    except ValueError as error:
        raise InvalidRequest(f"`{shown}` is no URL for a request: {error}") from None
    if user is not None:
        raise InvalidRequest(f"the URL for `{host}` holds a user name; an account is given by `auth=`")
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidRequest(f"`{shown}` is no URL for a request: it starts with neither `https://` nor `http://`")
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        raise InvalidRequest(f"`{shown}` is no URL for a request: `urllib.parse.quote` encodes what is special in it")
    query = "&".join(filter(None, (parts.query, urlencode(list(_pairs(params or {}))))))
    return parts.scheme, parts.netloc, (parts.path or "/") + (f"?{query}" if query else "")


def _pairs(params: Params) -> Iterator[tuple[str, str]]:
    for name, values in params.items():
        for value in values if isinstance(values, list) else [values]:
            if value is not None:
                yield name, str(value).lower() if isinstance(value, bool) else str(value)
