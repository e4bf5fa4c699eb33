"""The description of `/v1` holds: schemathesis sends what it allows and what it forbids, and reads every answer by it."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path


HERE = Path(__file__).parent

#: Seconds that the whole run may take, on a machine that is busy with other things.
PATIENCE = 600

CONFIGURATION = """\
plugins = 'plugins'
data = 'data'
cache.directory = 'code'
connect.address = '127.0.0.1:0'
provider_folder = 'providers'
# Nothing that is called leaves this machine.
components.github-issues.config.base_url = 'http://127.0.0.1:9'
components.github-issues.limits.time_ms = 5000
"""

GITHUB = """\
id = 'github'
title = 'GitHub'
kinds = ['api_key']
doc_url = 'https://github.example/'
hosts = ['http://127.0.0.1:9']
"""


def variable(name):
    """A variable that tells the tests where something is."""
    if name not in os.environ:
        raise RuntimeError(f"{name} is not set; `cargo xtask test` sets it")
    return Path(os.environ[name])


@contextmanager
def serving(folder):
    """`holster serve` with two tools and no account; its address."""
    (folder / "holster.toml").write_text(CONFIGURATION)
    for name in ["plugins", "providers"]:
        (folder / name).mkdir()
    (folder / "providers/github.toml").write_text(GITHUB)
    for tool in ["text-statistics", "github-issues"]:
        component = variable("HOLSTER_COMPONENTS") / f"{tool}.wasm"
        (folder / "plugins" / component.name).symlink_to(component)
    command = [variable("HOLSTER"), "--json", "serve", "--listen", "127.0.0.1:0"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


def test_what_the_description_says_is_what_the_server_does(tmp_path):
    schemathesis = Path(sys.executable).parent / "schemathesis"
    with serving(tmp_path) as url:
        run = [schemathesis, "--config-file", HERE / "schemathesis.toml", "run", f"{url}v1/openapi.json"]
        environment = os.environ | {"NO_PROXY": "127.0.0.1", "NO_COLOR": "1"}
        ended = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
