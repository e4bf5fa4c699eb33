#!/usr/bin/env python3
"""Has a host do what it is there for, so that a compiler which watches sees what is done often, and what only once.

usage: train.py PROGRAM FOLDER

The folder holds a `holster.toml` for the example tools, in three languages, which ask the API on the loopback interface with the
accounts of a profile, as in the demo. They are compiled once; then hosts are started and called as agents do, at standard input
and output and over HTTP. A program that was instrumented writes down what it saw when it ends, so each one ends by itself.
"""

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ACCOUNTS = ("slack", "github", "google")
# The tools, by what they are called with; and how often, one call after the other, in one process.
CALLS = {
    "text_statistics": ({"text": "Tools that nobody has to trust."}, 200),
    "github_issues": ({"owner": "harbour", "repo": "pilot"}, 50),
    "get_slack_messages": ({"channel": "general"}, 20),
    "calendar_events": ({}, 20),
}
STARTS = 10
IN_FLIGHT = 16
PATIENCE = 600


class Unexpected(Exception):
    """A host that does not answer as it should: what it learned would be wrong."""


class Training:
    """A program, and the folder in which it runs."""

    def __init__(self, holster: Path, folder: Path) -> None:
        self.holster, self.folder = holster, folder

    def command(self, *words: str, given: str = "") -> str:
        ran = subprocess.run(
            [self.holster, *words], cwd=self.folder, input=given, capture_output=True, text=True, timeout=PATIENCE
        )
        if ran.returncode != 0:
            raise Unexpected(f"`holster {' '.join(words)}` ended with {ran.returncode}: {ran.stderr.strip()}")
        return ran.stdout

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen]:
        process = subprocess.Popen(
            [self.holster, *words], cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdin.close()
            process.wait(PATIENCE)
            process.stdout.close()

    def at_standard_output(self) -> None:
        with self.running("mcp") as process:
            client = Client(process)
            hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "training", "version": "1"}}
            client.ask("initialize", hello)
            client.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
            listed = {tool["name"] for tool in client.ask("tools/list", {})["tools"]}
            if not listed.issuperset(CALLS):
                raise Unexpected(f"the tools are {sorted(listed)}")
            for tool, (arguments, times) in CALLS.items():
                for _ in range(times):
                    client.call(tool, arguments)
                client.call_together(tool, arguments, times)

    def over_http(self) -> None:
        with self.running("serve", "--listen", "127.0.0.1:0", "--json") as process:
            place = urlsplit(json.loads(process.stdout.readline())["url"])
            connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE)
            headers = {"Content-Type": "application/json"}
            for path in ("/v1/tools", "/v1/connections", "/v1/openapi.json"):
                connection.request("GET", path)
                connection.getresponse().read()
            for tool, (arguments, times) in CALLS.items():
                for _ in range(times):
                    connection.request("POST", f"/v1/tools/{tool}/call", json.dumps({"arguments": arguments}), headers)
                    answer = connection.getresponse()
                    said = answer.read()
                    if answer.status != 200:
                        raise Unexpected(f"{tool}: {answer.status}: {said[:300]!r}")
            connection.close()
            process.send_signal(signal.SIGTERM)


class Client:
    """Speaks MCP with a process."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process, self.number = process, 0

    def say(self, *messages: dict) -> None:
        self.process.stdin.write("".join(json.dumps(message) + "\n" for message in messages))
        self.process.stdin.flush()

    def ask(self, method: str, params: dict) -> dict:
        self.say(self.request(method, params))
        return self.answers({self.number})[self.number]

    def call(self, tool: str, arguments: dict) -> None:
        check(tool, self.ask("tools/call", {"name": tool, "arguments": arguments}))

    def call_together(self, tool: str, arguments: dict, times: int) -> None:
        for _ in range(0, times, IN_FLIGHT):
            requests = [self.request("tools/call", {"name": tool, "arguments": arguments}) for _ in range(IN_FLIGHT)]
            self.say(*requests)
            for result in self.answers({request["id"] for request in requests}).values():
                check(tool, result)

    def request(self, method: str, params: dict) -> dict:
        self.number += 1
        return {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}

    def answers(self, wanted: set[int]) -> dict[int, dict]:
        came = {}
        while len(came) < len(wanted):
            line = self.process.stdout.readline()
            if not line:
                raise Unexpected("the host closed its output")
            message = json.loads(line)
            if message.get("id") in wanted and "method" not in message:
                came[message["id"]] = message.get("result") or message
        return came


def check(tool: str, result: dict) -> None:
    if result.get("isError") or "content" not in result:
        raise Unexpected(f"{tool}: {json.dumps(result)[:300]}")


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    training = Training(asked.program.resolve(), asked.folder.resolve())
    for provider in ACCOUNTS:
        training.command("auth", "add", provider, "--profile", "work", "--stdin", given=f"work-{provider}-token")
    training.command("tools")  # and compiles them
    for _ in range(STARTS):
        training.at_standard_output()
        training.command("call", "text_statistics", json.dumps(CALLS["text_statistics"][0]))
    training.over_http()


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    try:
        main()
    except Unexpected as unexpected:
        sys.exit(f"training: {unexpected}")
