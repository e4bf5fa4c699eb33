"""Ends the counting of references to the objects that a component starts with.

CPython counts the references to an object in the object, so whatever looks at one writes to its page of memory; a call
would copy most of the interpreter's pages for nothing. An object whose count is high enough is immortal (PEP 683): its
count is left alone. `_image` lists the objects, and here their counts are set in the finished component, whose memory
lies in it as data. Nothing is changed where anything looks otherwise than expected.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from struct import pack_into, unpack_from

from holster_sdk._image import MARK

# CPython 3.14, `Include/refcount.h`, where a pointer has 32 bits: the least count that is left alone, and a safe one.
LEAST_IMMORTAL = 1 << 30
_IMMORTAL = 5 << 28
# Where the items of a tuple may begin: behind its count, its type and its length, and since 3.14 its hash.
_HEADS = (12, 16)

_MAGIC = b"\0asm"
_COMPONENT_HEAD = 8
_CORE_MODULE, _DATA = 1, 11
_I32_CONST, _END = 0x41, 0x0B


@dataclass(frozen=True)
class _Segment:
    """A piece of memory: where it starts, and where its bytes lie in the file."""

    start: int
    at: int
    length: int


def make(component: bytearray) -> int:
    """Makes the listed objects of a component immortal, and gives how many those are."""
    memory = Memory(component)
    changed = 0
    for address in memory.listed():
        at = memory.find(address, 4)
        if at is None:
            continue
        (count,) = unpack_from("<I", component, at)
        if 0 < count < LEAST_IMMORTAL:
            pack_into("<I", component, at, _IMMORTAL)
            changed += 1
    return changed


class Memory:
    """The memory of the interpreter: the data of the core module that has the most."""

    def __init__(self, component: bytearray) -> None:
        self._file = component
        modules = [list(_segments(component, start, end)) for start, end in _core_modules(component)]
        self._segments = max(modules, key=lambda segments: sum(segment.length for segment in segments), default=[])
        self._segments.sort(key=lambda segment: segment.start)
        self._starts = [segment.start for segment in self._segments]

    def find(self, address: int, length: int) -> int | None:
        """Where in the file these bytes of memory lie, if they do so side by side."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        segment = self._segments[index]
        offset = address - segment.start
        return segment.at + offset if offset + length <= segment.length else None

    def listed(self) -> tuple[int, ...]:
        """The addresses of all objects that `_image` lists; none if there is no list."""
        at = -1
        while (at := self._file.find(MARK, at + 1)) >= 0:
            objects, length, first = unpack_from("<3I", self._file, at + len(MARK))
            for head in _HEADS:
                items = self.find(objects + head, 4 * length)
                if items is not None and unpack_from("<I", self._file, items) == (first,):
                    return unpack_from(f"<{length}I", self._file, items)
        return ()


def _core_modules(component: bytearray) -> Iterator[tuple[int, int]]:
    """Where the sections of each core module lie."""
    for kind, start, end in _sections(component, _COMPONENT_HEAD, len(component)):
        if kind == _CORE_MODULE and component[start : start + len(_MAGIC)] == _MAGIC:
            yield start + _COMPONENT_HEAD, end


def _segments(component: bytearray, start: int, end: int) -> Iterator[_Segment]:
    """The data of a core module, as far as its place is written in it; data for elsewhere ends the list."""
    for kind, at, _ in _sections(component, start, end):
        if kind != _DATA:
            continue
        count, at = _number(component, at)
        for _ in range(count):
            if component[at] != 0 or component[at + 1] != _I32_CONST:
                return
            address, at = _number(component, at + 2, signed=True)
            if component[at] != _END:
                return
            length, at = _number(component, at + 1)
            yield _Segment(address & 0xFFFF_FFFF, at, length)
            at += length


def _sections(component: bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    at = start
    while at < end:
        length, content = _number(component, at + 1)
        yield component[at], content, content + length
        at = content + length


def _number(component: bytearray, at: int, *, signed: bool = False) -> tuple[int, int]:
    """A number in LEB128, and where it ends."""
    value = shift = 0
    while True:
        byte = component[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value - (1 << shift) if signed and byte & 0x40 else value), at
