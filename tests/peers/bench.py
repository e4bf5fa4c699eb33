#!/usr/bin/env python3
"""Measures Holster and wassette over MCP at standard input and output, in turns, so that noise hits both.

usage: bench.py FOLDER --holster PROGRAM [--rounds N] [--languages rust,js,python] [--table PAGE.md]

FOLDER is what `build.py` made, and `peers-floor` lies beside PROGRAM. Each round starts both hosts and takes turns of some
calls with each; figures are over all rounds. Two floors are measured in the same turns: that of the protocol, which is a
server of one tool and no sandbox, and that of the client, which is `cat`.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from client import Mirror, Server
from report import duration, machine, own, processor_seconds, quantile, resident, table, write_section

LANGUAGES = {"rust": "Rust", "js": "JavaScript", "python": "Python"}
HOSTS = {"holster": "Holster", "wassette": "wassette"}
# What is driven beside the hosts.
PROTOCOL, CLIENT = "peers-floor", "cat"
# Calls of one turn, and turns of one round.
CALLS = {"rust": 400, "js": 60, "python": 60}
TURNS = 5
IN_FLIGHT = 16
BIG = 4 << 20
SPINNING = 8
PATIENCE = 8.0
STARTS = 10
COLD = 3
# What Holster is held to: its p50 and calls a second, as a share of the peer's.
BARS = {"rust": (1 / 3, 4), "js": (1 / 2, 2), "python": (1 / 2, 2)}
BAR_BIG = 0.040
BAR_PING = 0.005


@dataclass
class Figures:
    """What one host did with one language."""

    first_results: list[float] = field(default_factory=list)
    refused_starts: int = 0
    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    peaks_after_big: list[float] = field(default_factory=list)
    cold_results: list[float] = field(default_factory=list)
    cold_peaks: list[float] = field(default_factory=list)
    bigs: list[float] = field(default_factory=list)
    pings: list[float | None] = field(default_factory=list)
    calls_beside: list[float | None] = field(default_factory=list)
    goes_on_after_cancel: float = 0.0

    def p50(self) -> float:
        return statistics.median(self.latencies)

    def p99(self) -> float:
        return quantile(self.latencies, 0.99)

    def rate(self) -> float:
        return statistics.median(self.rates)


class Bench:
    """Both hosts, with the folders that each keeps for itself."""

    def __init__(self, folder: Path, holster: Path, scratch: Path) -> None:
        self.folder = folder
        self.holster = str(holster)
        self.floor = str(holster.with_name(PROTOCOL))
        self.wassette = json.loads((folder / "wassette/command.json").read_text())
        places = {f"XDG_{name}_HOME": str(scratch / name.lower()) for name in ("DATA", "CACHE", "CONFIG", "STATE")}
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(scratch), **places}
        self.scratch = scratch

    def start(self, host: str, language: str) -> Server:
        if host == "holster":
            command = [self.holster, "mcp", "--plugins", str(self.folder / "holster" / language)]
        elif host == "wassette":
            served = str(self.folder / "wassette" / language / "served")
            command = [*self.wassette, "--component-dir", served, "run", "--disable-builtin-tools"]
        elif host == PROTOCOL:
            command = [self.floor]
        else:
            return Mirror([CLIENT], self.environment)
        return Server(command, self.environment)

    def round(self, figures: dict[str, Figures], language: str) -> None:
        """One process of each host, and turns with each."""
        servers = {}
        try:
            for host in figures:
                server = servers[host] = self.start(host, language)
                figures[host].first_results.append(begin(server))
                server.latencies(CALLS[language] // 4)
            for _ in range(TURNS):
                for host, server in servers.items():
                    figures[host].latencies += server.latencies(CALLS[language])
            for _ in range(TURNS):
                for host, server in servers.items():
                    figures[host].rates.append(server.rate(CALLS[language] * 2, IN_FLIGHT))
            for host, server in servers.items():
                figures[host].peaks.append(resident(server.pid, "VmHWM"))
                figures[host].own.append(own(server.pid))
            for host, server in servers.items():
                if host in HOSTS:
                    figures[host].bigs += [server.big(BIG) for _ in range(3)]
                    figures[host].peaks_after_big.append(resident(server.pid, "VmHWM"))
        finally:
            for server in servers.values():
                server.end()

    def cold(self, figures: dict[str, Figures], language: str) -> None:
        """Processes that find nothing of theirs in the system's cache."""
        for host in HOSTS:
            for _ in range(COLD):
                program = self.holster if host == "holster" else self.wassette[0]
                forget(Path(program), self.folder / host / language, self.scratch)
                with self.start(host, language) as server:
                    figures[host].cold_results.append(begin(server))
                    server.latencies(CALLS[language])
                    server.rate(CALLS[language] * TURNS, IN_FLIGHT)
                    figures[host].cold_peaks.append(resident(server.pid, "VmHWM"))

    def starts(self, figures: dict[str, Figures], language: str) -> None:
        """A client that says all at once: hello, and its first call."""
        for _ in range(STARTS):
            for host in HOSTS:
                with self.start(host, language) as server:
                    figures[host].refused_starts += server.begin_and_call(at_once=True) > 0

    def beside_spinning(self, figures: dict[str, Figures], language: str) -> None:
        """Guests that never end, and who asks for something else meanwhile."""
        for host in HOSTS:
            with self.start(host, language) as server:
                server.begin_and_call()
                spinning = server.spin(SPINNING)
                time.sleep(0.5)
                of = figures[host]
                for _ in range(40):
                    of.pings.append(server.ask({"jsonrpc": "2.0", "method": "ping"}, PATIENCE))
                    if of.pings[-1] is None:
                        break
                    time.sleep(0.02)
                if of.pings[-1] is None:
                    continue
                echo = {"name": "echo", "arguments": {"text": "beside"}}
                for _ in range(20):
                    message = {"jsonrpc": "2.0", "method": "tools/call", "params": echo}
                    of.calls_beside.append(server.ask(message, PATIENCE))
                server.cancel(spinning)
                time.sleep(0.2)
                before = processor_seconds(server.pid)
                time.sleep(1)
                of.goes_on_after_cancel = processor_seconds(server.pid) - before


def begin(server: Server) -> float:
    """Has a server ready for turns. Returns how long after its start its first result was there, in seconds."""
    server.begin_and_call()
    took = time.perf_counter() - server.started
    server.learn()
    return took


def forget(*places: Path) -> None:
    """Has the system drop what it keeps of these files, and of those in these folders."""
    for place in places:
        for path in filter(Path.is_file, place.rglob("*") if place.is_dir() else [place]):
            with path.open("rb") as file:
                os.fsync(file)
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--holster", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # and servers with it
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(asked.folder.resolve(), asked.holster.resolve(), Path(scratch))
        results = {language: measure(bench, language, asked.rounds) for language in asked.languages.split(",")}
    text = page(results, asked.rounds)
    print(text)
    if asked.table:
        write_section(asked.table, "Beside wassette, over MCP", text)


def measure(bench: Bench, language: str, rounds: int) -> dict[str, Figures]:
    for host in HOSTS:  # once, so that what is compiled is in their caches
        with bench.start(host, language) as server:
            server.begin_and_call()
    figures = {host: Figures() for host in (*HOSTS, PROTOCOL, CLIENT)}
    for number in range(rounds):
        print(f"{language}: round {number + 1} of {rounds}", file=sys.stderr)
        order = list(figures)
        if number % 2:
            order.reverse()
        bench.round({host: figures[host] for host in order}, language)
    print(f"{language}: cold starts, starts with a call at once, and guests that spin", file=sys.stderr)
    bench.cold(figures, language)
    bench.starts(figures, language)
    bench.beside_spinning(figures, language)
    return figures


def page(results: dict[str, dict[str, Figures]], rounds: int) -> str:
    load = os.getloadavg()[1]
    return "\n\n".join(
        (
            "Made by `tests/peers/bench.py`; how, says `tests/peers/README.md`.",
            f"{machine()}, in {rounds} rounds. Load of the machine in these minutes: {load:.1f} (the benchmark itself makes "
            "2 at most); what is above is the work of others, so that the ratios say more than the times do.",
            calls_table(results),
            others_table(results),
            notes(results),
        )
    )


def calls_table(results: dict[str, dict[str, Figures]]) -> str:
    header = ["guest", "host", "start to first result:", "call p50:", "call p99:"]
    header += [f"calls/s, {IN_FLIGHT} in flight:", "peak memory:", "memory of its own:"]
    rows = []
    for language, figures in results.items():
        rows += [[LANGUAGES[language], name, *row(figures[host])] for host, name in HOSTS.items()]
        rows.append([LANGUAGES[language], "ratio", *ratios(language, figures)])
        rows.append(["none", "the protocol alone", *row(figures[PROTOCOL])])
    return table(header, rows)


def row(of: Figures) -> list[str]:
    times = [statistics.median(of.first_results), of.p50(), of.p99()]
    memory = [f"{statistics.median(mib):.1f} MiB" for mib in (of.peaks, of.own)]
    return [*map(duration, times), f"{of.rate():,.0f}", *memory]


def ratios(language: str, figures: dict[str, Figures]) -> list[str]:
    ours, theirs = figures["holster"], figures["wassette"]
    p50_bar, rate_bar = BARS[language]
    start = statistics.median(ours.first_results) / statistics.median(theirs.first_results)
    p50, p99 = ours.p50() / theirs.p50(), ours.p99() / theirs.p99()
    rate = ours.rate() / theirs.rate()
    peak = statistics.median(ours.peaks) / statistics.median(theirs.peaks)
    of_its_own = statistics.median(ours.own) / statistics.median(theirs.own)
    return [
        judged(f"{start:.2f} (≤ 1)", start <= 1),
        judged(f"{p50:.3f} (≤ {p50_bar:.2f})", p50 <= p50_bar),
        f"{p99:.3f}",
        judged(f"{rate:.1f} (≥ {rate_bar})", rate >= rate_bar),
        judged(f"{peak:.2f} (≤ 1)", peak <= 1),
        f"{of_its_own:.2f}",
    ]


def others_table(results: dict[str, dict[str, Figures]]) -> str:
    big = f"{BIG >> 20} MiB result"
    header = ["guest", "host", f"{big}:", f"peak memory after {big}s:", f"`ping` beside {SPINNING} guests that spin:"]
    header += ["a call beside them:", "first calls refused:", "cold start to first result:", "peak memory after it:"]
    rows = []
    for language, figures in results.items():
        cold_peak = {host: statistics.median(figures[host].cold_peaks) for host in HOSTS}
        for host, name in HOSTS.items():
            of = figures[host]
            ours = host == "holster"
            median = statistics.median(of.bigs)
            peak = f"{cold_peak[host]:.1f}"
            rows.append(
                [
                    LANGUAGES[language],
                    name,
                    judged(duration(median), median < BAR_BIG) if ours else duration(median),
                    f"{statistics.median(of.peaks_after_big):.1f} MiB",
                    asked(of.pings, BAR_PING if ours else None),
                    asked(of.calls_beside, None) if of.calls_beside else "not asked",
                    judged(f"{of.refused_starts} of {STARTS}", of.refused_starts == 0) if ours else f"{of.refused_starts} of {STARTS}",
                    duration(statistics.median(of.cold_results)),
                    judged(f"{peak} MiB", cold_peak[host] <= cold_peak["wassette"]) if ours else f"{peak} MiB",
                ]
            )
    return table(header, rows)


def asked(times: list[float | None], bar: float | None) -> str:
    """The middle and the worst of several questions."""
    if None in times:
        return f"none in {PATIENCE:.0f} s"
    text = f"p50 {duration(statistics.median(times))}, worst {duration(max(times))}"
    return judged(text, max(times) < bar) if bar else text


def judged(text: str, holds: bool) -> str:
    return f"{text} {'✓' if holds else '✗'}"


def notes(results: dict[str, dict[str, Figures]]) -> str:
    floors = [figures[CLIENT] for figures in results.values()]
    floor = statistics.median([latency for figures in floors for latency in figures.latencies])
    rate = statistics.median([rate for figures in floors for rate in figures.rates])
    idle = max(figures["holster"].goes_on_after_cancel for figures in results.values())
    return (
        f"The protocol alone is a server of `echo` on the protocol's library, `rmcp`, without components, sandboxes, schemas, "
        f"accounts and records. The client itself, driving `cat` in the same way: p50 {duration(floor)}, {rate:,.0f} lines/s; it "
        f"is contained in all times. A first call is one that comes with `initialize`, before any answer; wassette refuses it "
        f"while it loads, and its time to the first result contains the calls that are made anew. After `notifications/cancelled` for all guests that spin, "
        f"Holster computed for {duration(idle)} in the second that followed. A {BIG >> 20} MiB result of wassette goes over "
        f"the pipe twice, as text and as structured content. Peak memory counts pages of files, of the programs and of compiled "
        f"components, which the system can take back, and those that several instances share once for each; what is left without "
        f"files, at the end of the calls, is a process's own. Both hosts start with their components compiled before. At a cold start "
        f"nothing of the program, the components and what was compiled of them is in the system's cache."
    )


if __name__ == "__main__":
    main()
