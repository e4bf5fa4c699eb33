"""An installation of Holster as a user has one, and the user.

The tools are real ones; GitHub is the loopback API, whose accounts are entered as keys. A program of the user runs in the
installation's folder, where `holster` finds its configuration, and finds `holster` in its PATH.
"""

import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from threading import Timer
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "host/docs/examples"

#: Seconds that a program may take, on a machine that is busy with other things.
PATIENCE = 120

CONFIGURATION = """\
plugins = 'plugins'
data = 'data'
cache.directory = '{cache}'
provider_folder = 'providers'

[components.github-issues.config]
base_url = '{api}'
"""

GITHUB = """\
id = 'github'
title = 'GitHub'
kinds = ['api_key']
doc_url = 'https://github.example/'
hosts = ['{api}']

[identity]
url = '{api}/user'
pointer = '/login'
"""

#: Nothing leaves this machine: who calls home in spite of the settings is refused at once.
QUIET = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "LANGSMITH_TRACING": "false",
}


def variable(name):
    """A variable that tells the tests where something is."""
    if name not in os.environ:
        raise RuntimeError(f"{name} is not set; `cargo xtask test` sets it")
    return Path(os.environ[name])


class Installation:
    """A folder with a configuration, two tools and no account."""

    def __init__(self, folder, cache, api):
        self.folder = folder
        (folder / "holster.toml").write_text(CONFIGURATION.format(cache=cache, api=api))
        for name in ["bin", "plugins", "providers"]:
            (folder / name).mkdir()
        (folder / "providers/github.toml").write_text(GITHUB.format(api=api))
        (folder / "bin/holster").symlink_to(variable("HOLSTER"))
        for tool in ["text-statistics", "github-issues"]:
            component = variable("HOLSTER_COMPONENTS") / f"{tool}.wasm"
            (folder / "plugins" / component.name).symlink_to(component)
        (folder / "node_modules").symlink_to(HERE / "node_modules")

    def tools(self):
        """The schema of each tool's arguments, as `holster` itself lists them."""
        listed = json.loads(self.run(["holster", "--json", "tools"]))["tools"]
        return {tool["name"]: tool["input_schema"] for tool in listed}

    def example(self, name, interpreter, question, model):
        """What an example of the documentation prints."""
        return self.run(self.command(name, interpreter, question), model.environment())

    def command(self, name, interpreter, question):
        """How a user starts an example that was copied into this folder."""
        shutil.copy(EXAMPLES / name, self.folder)
        return [interpreter, name, question]

    @contextmanager
    def start(self, command, environment={}):
        """A program of the user, which ends with the block if not before."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        environment = {"PATH": path, "HOME": str(self.folder), **QUIET, **environment}
        pipes = dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.PIPE)
        with subprocess.Popen(command, cwd=self.folder, env=environment, text=True, **pipes) as process:
            watch = Timer(PATIENCE, process.kill)
            watch.start()
            try:
                yield process
            finally:
                watch.cancel()
                process.kill()

    def run(self, command, environment={}):
        """What a program of the user prints."""
        with self.start(command, environment) as process:
            return ended(process)


def ended(process, reply=None):
    """The rest of what a program prints, which must end well."""
    printed, errors = process.communicate(reply)
    assert process.returncode == 0, f"{process.args} ended with {process.returncode}\n{printed}\n{errors}"
    return printed


def page_in(said):
    """The address of a connect page in some words."""
    found = re.search(r"http://127\.0\.0\.1:\d+/connect/[\w-]+", said)
    assert found, said
    return found.group()


def connect(page, token):
    """What a person does at the page: enters a key."""
    browser = build_opener(ProxyHandler({}), HTTPCookieProcessor(CookieJar()))
    assert browser.open(page, timeout=PATIENCE).status == 200
    form = urlencode({"way": "enter:api_key", "token": token}).encode()
    parts = urlsplit(page)
    origin = {"Origin": f"{parts.scheme}://{parts.netloc}"}
    assert browser.open(Request(page, form, origin), timeout=PATIENCE).status == 200
