"""What the tests share: the loopback API, and an installation of Holster for each test."""

import subprocess

import pytest

from installation import Installation, variable


@pytest.fixture(scope="session")
def api():
    """The loopback API's address. It serves until its standard input closes."""
    pipe = subprocess.PIPE
    with subprocess.Popen([variable("HOLSTER_LOOPBACK_API")], stdin=pipe, stdout=pipe, text=True) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Components are compiled once for all tests."""
    return tmp_path_factory.mktemp("cache") / "code"


@pytest.fixture
def installation(tmp_path, cache, api):
    return Installation(tmp_path, cache, api)
