#!/usr/bin/env python3
"""Loads `holster serve` with calls of the Rust tool `echo`: first as many as it takes, then at a fixed rate.

usage: http_load.py FOLDER --holster PROGRAM [--seconds N] [--rate N] [--connections N] [--table PAGE.md]

FOLDER is what `build.py` made. Each load takes half of the time. At full load the client is `wrk`; at the fixed rate it is
this program, which sends each call when it is due, whether others were answered or not, and counts from then on, so that a
stall is not hidden by the calls that it delays. Both check every answer, and share the machine's cores with the server.
"""

import argparse
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from report import duration, machine, processor_seconds, quantile, resident, table, write_section

PATH = "/v1/tools/echo/call"
BAR_RATE = 5000
BAR_P99 = 0.020
SCRIPT = Path(__file__).with_name("http_load.lua")


@dataclass
class Load:
    """What came of one load."""

    name: str
    requests: int
    errors: int
    seconds: float
    p50: float
    p99: float
    worst: float
    computed: float  # seconds of the server's processor time

    def rate(self) -> float:
        return self.requests / self.seconds


class Memory(threading.Thread):
    """Looks at the memory of a process, some two hundred times in all."""

    def __init__(self, pid: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.samples: list[float] = []
        self._pid, self._pause, self._over = pid, max(0.1, seconds / 200), threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._pause):
            self.samples.append(resident(self._pid, "VmRSS"))

    def end(self) -> None:
        self._over.set()
        self.join()


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--holster", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=BAR_RATE // 2)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed, which makes the load; install the package `wrk`")
    plugins = asked.folder.resolve() / "holster/rust"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # and servers with it
    with tempfile.TemporaryDirectory() as scratch, serving(asked.holster.resolve(), plugins, Path(scratch)) as (pid, address):
        each = asked.seconds / 2
        wrk(address, 2, asked.connections)  # warm
        full = measured(pid, each, lambda: wrk(address, each, asked.connections))
        half = measured(pid, each, lambda: at_rate(address, each, asked.connections, asked.rate))
    text = page(asked, [full, half])
    print(text)
    if asked.table:
        write_section(asked.table, "Over HTTP, under load", text)


@contextmanager
def serving(holster: Path, plugins: Path, scratch: Path) -> Iterator[tuple[int, str]]:
    """A server with folders of its own, on a port that the system chooses."""
    places = {f"XDG_{name}_HOME": str(scratch / name.lower()) for name in ("DATA", "CACHE", "CONFIG", "STATE")}
    command = [holster, "serve", "--listen", "127.0.0.1:0", "--json", "--plugins", plugins]
    environment = {"PATH": os.environ["PATH"], "HOME": str(scratch), **places}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    try:
        said = server.stdout.readline()
        if not said:
            sys.exit(f"{holster} ended before it listened")
        yield server.pid, json.loads(said)["url"]
    finally:
        server.terminate()
        server.wait()


def measured(pid: int, seconds: float, load) -> tuple[Load, list[float]]:
    memory = Memory(pid, seconds)
    before = processor_seconds(pid)
    memory.start()
    result = load()
    memory.end()
    return Load(computed=processor_seconds(pid) - before, **result), memory.samples


def wrk(address: str, seconds: float, connections: int) -> dict:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "10s", "-s", SCRIPT]
    said = subprocess.run([*command, address.rstrip("/") + PATH], capture_output=True, text=True, check=True).stdout
    return {"name": f"as many as it takes, {connections} connections", **json.loads(said.splitlines()[-1])}


def at_rate(address: str, seconds: float, connections: int, rate: int) -> dict:
    """An open loop: a call is due at its time, and waits for a free connection if there is none."""
    place = urlsplit(address)
    body = json.dumps({"arguments": {"text": "one of many"}}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    request, wanted = head.encode() + body, b'"text":"one of many"'
    selector = selectors.EpollSelector()
    idle: deque[socket.socket] = deque()
    for _ in range(connections):
        connection = socket.create_connection((place.hostname, place.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
        idle.append(connection)
    due_at: dict[socket.socket, float] = {}
    latencies: list[float] = []
    errors, sent, total = 0, 0, int(seconds * rate)
    begin = time.perf_counter()
    patience = begin + seconds + 10
    while len(latencies) + errors < total and idle or due_at:
        now = time.perf_counter()
        if now > patience:
            errors += total - len(latencies) - errors
            break
        while idle and sent < total and (due := begin + sent / rate) <= now:
            connection = idle.popleft()
            connection.send(request)
            due_at[connection] = due
            sent += 1
        next_due = begin + sent / rate - time.perf_counter() if idle and sent < total else 0.1
        for key, _ in selector.select(max(0, next_due)):
            connection = key.fileobj
            answer = connection.recv(65536)
            due = due_at.pop(connection, None)
            if due is not None and answer.startswith(b"HTTP/1.1 200") and wanted in answer:
                latencies.append(time.perf_counter() - due)
                idle.append(connection)
            else:
                errors += due is not None or bool(answer)
                selector.unregister(connection)
                connection.close()
                idle = deque(other for other in idle if other is not connection)
    errors += total - sent  # no connection is left
    taken = time.perf_counter() - begin
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    times = latencies or [float("inf")]
    found = {"requests": len(latencies), "errors": errors, "seconds": taken, "worst": max(times)}
    return {"name": f"{rate:,} a second", **found, "p50": quantile(times, 0.5), "p99": quantile(times, 0.99)}


def page(asked: argparse.Namespace, loads: list[tuple[Load, list[float]]]) -> str:
    header = ["load", "calls/s:", "p50:", "p99:", "worst:", "errors:", "server's processor time for a call:"]
    header += ["memory: start:", "middle:", "end:", "most:"]
    rows = []
    for index, (load, samples) in enumerate(loads):
        settled = samples[len(samples) // 10 :]
        rate, p99 = f"{load.rate():,.0f}", duration(load.p99)
        rows.append(
            [
                load.name,
                judged(f"{rate} (≥ {BAR_RATE:,})", load.rate() >= BAR_RATE) if index == 0 else rate,
                duration(load.p50),
                judged(f"{p99} (< 20 ms)", load.p99 < BAR_P99) if index else p99,
                duration(load.worst),
                judged(f"{load.errors} of {load.requests + load.errors:,}", load.errors == 0),
                duration(load.computed / max(1, load.requests)),
                *(f"{value:.1f} MiB" for value in (settled[0], settled[len(settled) // 2], settled[-1], max(settled))),
            ]
        )
    return "\n\n".join(
        (
            "Made by `tests/peers/http_load.py`; how, says `tests/peers/README.md`.",
            f"{machine()}, {asked.seconds:.0f} s in all, {asked.connections} connections kept open; the client runs on the same "
            f"cores. Load of the machine in these minutes: {os.getloadavg()[1]:.1f}, most of it the work of others. The tool is `echo` "
            "in Rust, over REST. At a fixed rate a call's time counts from when it was due.",
            table(header, rows),
        )
    )


def judged(text: str, holds: bool) -> str:
    return f"{text} {'✓' if holds else '✗'}"


if __name__ == "__main__":
    main()
