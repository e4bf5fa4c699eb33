"""A client of MCP over standard input and output that costs little: lines made in advance, compared as bytes.

A server's answer to one call is parsed and judged, and the same answer with another number is what the others have to be;
one that differs is parsed as well. So every answer is checked, and the client takes a few microseconds for each.
"""

import fcntl
import json
import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Iterator

F_SETPIPE_SZ = 1031
PIPE = 1 << 20
PROTOCOL = "2025-06-18"

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": {"name": "peers", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Unexpected(Exception):
    """A server that does not answer as it should."""


def encoded(*messages: dict) -> bytes:
    return b"".join(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for message in messages)


def call(number: int, tool: str, arguments: dict) -> dict:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


def echo_text(number: int) -> str:
    """What is sent and comes back: JSON as text, with the call's number in it."""
    return json.dumps({"number": number, "words": ["one", "two", "drei ü"], "deep": {"is": True, "not": None}}, ensure_ascii=False)


def text_of(message: dict) -> str | None:
    """The text of a successful answer."""
    result = message.get("result", {})
    if result.get("isError") or "content" not in result:
        return None
    return result["content"][0].get("text")


class Server:
    """A process that speaks the protocol. Numbers of calls have seven digits."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.command = command
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, bufsize=0
        )
        self.pid = self.process.pid
        self._in = self.process.stdin.fileno()
        self._out = self.process.stdout.fileno()
        for pipe in (self._in, self._out):
            fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE)
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []
        self._numbers = iter(range(1_000_000, 10_000_000))
        self._sample: tuple[bytes, bytes, bytes] | None = None

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._in, data) :]

    def line(self, patience: float | None = None) -> bytes | None:
        """The next line; nothing if there is none in time."""
        while not self._lines:
            if patience is not None and not select.select([self._out], [], [], patience)[0]:
                return None
            self._take(os.read(self._out, PIPE))
        return self._lines.popleft()

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            raise Unexpected(f"{self.command[0]} closed its output")
        *whole, rest = chunk.split(b"\n")
        if whole:
            self._rest.append(whole[0])
            whole[0] = b"".join(self._rest)
            self._rest = []
            self._lines.extend(whole)
        if rest:
            self._rest.append(rest)

    def answer(self, number: int) -> dict:
        """The answer to one request; what else comes before is dropped."""
        while True:
            message = json.loads(self.line())
            if message.get("id") == number and "method" not in message:
                return message

    def begin(self) -> None:
        self.write(encoded(INITIALIZE))
        self.answer(0)
        self.write(encoded(INITIALIZED))

    def begin_and_call(self, *, at_once: bool = False) -> int:
        """Goes on until a call is answered; how many were refused before.

        Usually as clients do, who ask for the list first; or with all in one breath.
        """
        if not at_once:
            self.begin()
            listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            self.write(encoded(listing))
            self.answer(1)
        refused = 0
        while True:
            number = next(self._numbers)
            echo = encoded(call(number, "echo", {"text": echo_text(number)}))
            self.write(encoded(INITIALIZE, INITIALIZED) + echo if at_once and not refused else echo)
            if text_of(self.answer(number)) == echo_text(number):
                return refused
            refused += 1
            time.sleep(0.001)

    def learn(self) -> None:
        """Takes one answer as the sample of all."""
        number = next(self._numbers)
        request = encoded(call(number, "echo", {"text": echo_text(number)}))
        self.write(request)
        line = self.line()
        while not self._judge(line, number):
            line = self.line()
        self._sample = str(number).encode(), request, line

    def latencies(self, count: int) -> list[float]:
        """Seconds of each of `count` calls, one after the other."""
        pairs = [(number, request, answer + b"\n") for number, (request, answer) in self._calls(count)]
        measured = []
        clock, write, out, read = time.perf_counter, os.write, self._out, os.read
        for number, request, expected in pairs:
            begin = clock()
            write(self._in, request)
            got = read(out, PIPE)
            if got != expected:  # in pieces, with something before it, or wrong
                self._take(got)
                while not self._judge(self.line(), number):
                    pass
            measured.append(clock() - begin)
        return measured

    def rate(self, count: int, in_flight: int) -> float:
        """Calls a second, with so many in flight."""
        calls = list(self._calls(count))
        expected = {pair[1]: number for number, pair in calls}
        requests = [pair[0] for _, pair in calls]
        begin = time.perf_counter()
        sent = min(in_flight, count)
        self.write(b"".join(requests[:sent]))
        done = 0
        while done < count:
            came = 0
            self._lines.appendleft(self.line())
            while self._lines:
                line = self._lines.popleft()
                came += expected.pop(line, None) is not None or self._judge_any(line, expected)
            done += came
            self.write(b"".join(requests[sent : sent + came]))
            sent += came
        return count / (time.perf_counter() - begin)

    def big(self, size: int) -> float:
        """Seconds until a text of this size is here."""
        number = next(self._numbers)
        request = encoded(call(number, "big", {"bytes": size}))
        begin = time.perf_counter()
        self.write(request)
        line = self.line()
        taken = time.perf_counter() - begin
        if text_of(json.loads(line)) != "x" * size:
            raise Unexpected(f"not {size} bytes: {line[:200]!r}")
        return taken

    def spin(self, count: int) -> list[int]:
        """Begins calls that never end."""
        numbers = [next(self._numbers) for _ in range(count)]
        self.write(encoded(*(call(number, "spin", {}) for number in numbers)))
        return numbers

    def cancel(self, numbers: list[int]) -> None:
        cancelled = "notifications/cancelled"
        self.write(encoded(*({"jsonrpc": "2.0", "method": cancelled, "params": {"requestId": n}} for n in numbers)))

    def ask(self, message: dict, patience: float) -> float | None:
        """Seconds until the answer, or nothing if it does not come in time."""
        number = message["id"] = next(self._numbers)
        request = encoded(message)
        begin = time.perf_counter()
        self.write(request)
        while (left := begin + patience - time.perf_counter()) > 0:
            line = self.line(left)
            if line is not None and json.loads(line).get("id") == number:
                return time.perf_counter() - begin
        return None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _calls(self, count: int) -> Iterator[tuple[int, tuple[bytes, bytes]]]:
        """Numbers, each with its request and the answer that has to come."""
        old, request, answer = self._sample
        for _ in range(count):
            number = next(self._numbers)
            new = str(number).encode()
            yield number, (request.replace(old, new), answer.replace(old, new))

    def _judge(self, line: bytes, number: int) -> bool:
        """Whether a line is the answer to a call, and not something that nobody asked for."""
        message = json.loads(line)
        if "method" in message:
            return self._is_ours(message)
        if message.get("id") != number or text_of(message) != echo_text(number):
            raise Unexpected(f"not the answer to call {number}: {line[:300]!r}")
        return True

    def _judge_any(self, line: bytes, expected: dict[bytes, int]) -> bool:
        message = json.loads(line)
        if "method" in message and not self._is_ours(message):
            return False
        known = next((wanted for wanted, number in expected.items() if number == message.get("id")), None)
        if known is None:
            raise Unexpected(f"an answer to nothing: {line[:300]!r}")
        self._judge(line, expected.pop(known))
        return True

    def _is_ours(self, message: dict) -> bool:
        """Whether a message with a method is one that this client sent; a server's own is none."""
        return False


class Mirror(Server):
    """A process that gives each line back: what the client itself takes."""

    def begin_and_call(self, *, at_once: bool = False) -> int:
        self.write(b"\n")
        self.line()
        return 0

    def _is_ours(self, message: dict) -> bool:
        return True
