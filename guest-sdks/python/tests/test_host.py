"""What a tool asks of the host: accounts, settings and HTTP, the last for real."""

import hashlib
import hmac
import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from conftest import Server

from holster_sdk import Failed, Unavailable, auth, config, http, testing
from holster_sdk.context import instant


def test_without_a_host_every_way_out_says_so() -> None:
    ways: list[Callable[[], Any]] = [
        lambda: auth.get("slack"),
        lambda: config.get("base_url"),
        lambda: http.get("https://api.example.com"),
    ]
    for way in ways:
        with pytest.raises(Unavailable, match="there is no host here"):
            way()


def test_a_credential_tells_all_but_its_secret() -> None:
    expiry = datetime(2030, 1, 2, tzinfo=UTC)
    account = testing.Account("planted-secret", "ada", ["b", "a"], expiry, b"planted-secret")
    with testing.host(accounts={"slack": account}, profile="work"):
        credential = auth.get("slack")
        facts = (credential.provider, credential.profile, credential.account, credential.scopes, credential.expires_at)
        assert facts == ("slack", "work", "ada", ["a", "b"], expiry)
        assert credential.token() == "planted-secret"
        assert credential.header() == ("Authorization", "Bearer planted-secret")
        assert credential.sign("hmac-sha256", "text") == hmac.digest(b"planted-secret", b"text", hashlib.sha256)
        for shown in (account, credential, credential.header()):
            assert "planted-secret" not in repr(shown)


def test_an_account_that_was_not_declared_cannot_be_had() -> None:
    with testing.host(), pytest.raises(auth.AuthError) as caught:
        auth.get("github")
    assert (caught.value.reason, caught.value.detail) == ("not-declared", "github")
    assert isinstance(caught.value, Failed)


def test_an_account_without_a_key_signs_nothing() -> None:
    with testing.host(accounts={"slack": testing.Account()}), pytest.raises(auth.Unsupported) as caught:
        auth.get("slack").sign("hmac-sha512", b"")
    assert caught.value.reason == "unsupported"


def test_a_setting_is_what_the_operator_gave_or_otherwise() -> None:
    with testing.host(settings={"given": "", "base_url": "x"}):
        assert (config.get("base_url"), config.get("given", "other")) == ("x", "")
        assert (config.get("missing"), config.get("missing", "other")) == (None, "other")


def test_an_instant_beyond_all_calendars_is_the_last_one() -> None:
    assert instant(2**64 / 1000) == datetime(9999, 12, 31, tzinfo=UTC)


def test_a_request_arrives_as_it_was_written(server: Server) -> None:
    with testing.host(accounts={"slack": testing.Account("t")}):
        http.request(
            "PUT",
            f"{server.url}/a?x=1#fragment",
            params={"y": ["ä b", 2], "z": None, "w": True},
            headers={"Content-Type": "application/vnd.api+json", "X-Own": "1"},
            json={"k": "é"},
            auth=auth.get("slack"),
        )
    [received] = server.received
    assert (received.method, received.path) == ("PUT", "/a?x=1&y=%C3%A4+b&y=2&w=true")
    assert received.body == '{"k": "é"}'.encode()
    assert received.headers["content-type"] == "application/vnd.api+json"
    assert received.headers["authorization"] == "Bearer t"
    assert received.headers["x-own"] == "1"


def test_no_status_raises_and_no_redirect_is_followed(server: Server) -> None:
    server.answers(b"\xff", status=302, headers={"Location": "/elsewhere", "Retry-After": "5"})
    with testing.host():
        response = http.get(server.url)
    assert (response.status, response.ok, response.text, response.retry_after) == (302, False, "\ufffd", 5)
    assert response.headers["LOCATION"] == "/elsewhere"
    assert len(server.received) == 1


def test_a_body_that_is_not_json_says_whose_it_was(server: Server) -> None:
    server.answers(b"<html>", status=502)
    with testing.host(), pytest.raises(http.UnexpectedJson, match=r"`127.0.0.1:\d+` \(status 502\) is not the JSON"):
        http.post(server.url).json()


def test_an_answer_larger_than_the_limit_is_not_read(server: Server) -> None:
    server.answers(b"x" * 11)
    with testing.host():
        assert len(http.get(server.url, body_limit=11).content) == 11
        with pytest.raises(http.TooLarge, match="is larger than 10 bytes"):
            http.get(server.url, body_limit=10)


def test_a_service_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with testing.host(), pytest.raises(Unavailable, match="cannot be reached: it refuses connections"):
            http.get(f"http://127.0.0.1:{taken.getsockname()[1]}")


def test_a_service_that_says_nothing_is_unavailable_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, testing.host(), pytest.raises(http.Timeout):
        http.get(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05)


@pytest.mark.parametrize(
    ("url", "headers", "message"),
    [
        ("api.example.com/x?key=planted-secret", {}, "`api.example.com/x` is no URL for a request"),
        ("ftp://api.example.com", {}, "it starts with neither `https://` nor `http://`"),
        ("https://planted-secret@example.com", {}, "the URL for `example.com` holds a user name"),
        ("https://example.com/a b", {}, "`urllib.parse.quote` encodes what is special"),
        ("https://example.com/\r\nX: y", {}, "`urllib.parse.quote` encodes what is special"),
        ("https://[::1", {}, "is no URL for a request"),
        ("https://example.com", {"X-Key": "planted-secret\r\nX: y"}, "the header `x-key` cannot be sent"),
        ("https://example.com", {"X Key": "1"}, "the header `x key` cannot be sent"),
    ],
)
def test_a_mistake_in_a_request_is_found_before_anything_is_sent(
    url: str, headers: dict[str, str], message: str
) -> None:
    with testing.host(), pytest.raises(http.InvalidRequest, match=re.escape(message)) as caught:
        http.get(url, headers=headers)
    assert "planted-secret" not in str(caught.value)
