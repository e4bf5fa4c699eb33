"""The memory that every call starts from, put in order at the end of the build.

A call shares this memory with all others until it writes to it: each page, of 4 KiB, is copied when it is first written
to, and that costs more than most of what a tool does. So what a call would write without need is written here, and what
it has to write is brought side by side:

- What the interpreter keeps of attributes that the build looked up is given up.
- Holes between objects are filled, so that what a call makes comes from one place.
- The code of each function that takes part in every call is moved there too, as the interpreter writes into it.
- The garbage collector has nothing left to look through.
- All objects are listed for `_immortal`, which ends the counting of references to them. Until then they are kept alive.
"""

import _random
import functools
import gc
import random
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType, FunctionType
from typing import Any

MARK = b"holster-sdk: these objects are kept "
"""Stands in memory before three words of 32 bits: where the tuple of all objects is, how many it has, and the first."""

# The interpreter specialises what has run a few dozen times.
_REHEARSALS = 64
_BIG = 1 << 20
# The interpreter keeps this many of some kinds of object for the next one that is needed.
_SPARE_OBJECTS = 200
_SPARE_TUPLES = 20

_kept: list[Any] = []


class _Arguments(list[str]):
    """What takes the place of `sys.argv`: componentize-py empties it as the last step of a build."""

    at_the_end: Callable[[], None] | None = None

    def __delitem__(self, index: Any) -> None:
        super().__delitem__(index)
        last_step, self.at_the_end = self.at_the_end, None
        if last_step is not None:
            last_step()


def settle_at_the_end(
    rehearse: Callable[[], None], functions: Iterable[Callable[..., Any]], module: dict[str, Any]
) -> None:
    """Puts the memory in order when the build has nothing more to do in it.

    `rehearse` does what each call does; a call runs one of the `functions`, and `module` has what those call.
    """
    seed = random.seed
    # componentize-py takes it before the last step, and seeds by it at the start of each call. In C it does the same.
    random.seed = functools.partial(_random.Random.seed, random._inst)

    def settle() -> None:
        random.seed = seed
        own = [one for one in gc.get_objects() if isinstance(one, FunctionType) and one.__globals__ is module]
        _settle(rehearse, {one.__code__ for one in (*own, *functions) if isinstance(one, FunctionType)})

    sys.argv = _Arguments(sys.argv or [""])
    sys.argv.at_the_end = settle


def _settle(rehearse: Callable[[], None], codes: set[CodeType]) -> None:
    gc.collect()
    # It keeps names with it, which calls would give up one by one, wherever they lie.
    sys._clear_type_cache()
    _kept.append(_filling())
    _move(codes | _codes_of(rehearse))
    for _ in range(_REHEARSALS):
        rehearse()
    objects = _objects()
    _kept.append(objects)
    _kept.append(MARK + b"".join(word.to_bytes(4, "little") for word in (id(objects), len(objects), id(objects[0]))))
    _kept.append(_spare_objects())
    _kept.append(_filling())
    gc.freeze()


def _codes_of(rehearse: Callable[[], None]) -> set[CodeType]:
    """The code that runs meanwhile."""
    codes = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        rehearse()
    finally:
        sys.setprofile(None)
    return codes


def _move(codes: set[CodeType]) -> None:
    """Gives all functions with this code a copy of it."""
    copies = {code: _copy(code) for code in codes}
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__ in copies:
            function.__code__ = copies[function.__code__]


def _copy(code: CodeType) -> CodeType:
    constants = (_copy(constant) if isinstance(constant, CodeType) else constant for constant in code.co_consts)
    return code.replace(co_consts=tuple(constants))


def _objects() -> tuple[Any, ...]:
    """All objects that can be reached: those that the collector knows, and what they refer to."""
    waiting = [*gc.get_objects(), sys.modules]
    found: dict[int, Any] = {}
    while waiting:
        one = waiting.pop()
        if id(one) in found:
            continue
        found[id(one)] = one
        waiting += gc.get_referents(one)
        if isinstance(one, CodeType):  # which the collector does not look into
            waiting += (one.co_consts, one.co_names, one.co_name, one.co_qualname, one.co_filename)
            waiting += (one.co_linetable, one.co_exceptiontable)
    return tuple(found.values())


def _spare_objects() -> list[Any]:
    """The objects that the interpreter keeps for the next ones, which lie wherever they were first needed."""
    spare: list[Any] = [tuple([None] * length) for length in range(1, _SPARE_TUPLES) for _ in range(_SPARE_OBJECTS)]
    for number in range(_SPARE_OBJECTS):
        spare += ([], {}, number + 0.5, number + _BIG, slice(number), range(number), iter(()), spare.append)
    return spare


def _filling() -> Any:
    """Objects of all sizes in all holes that are big enough for them, but one big one."""
    filling: Any = None
    big = id(bytes(_BIG))
    for size in (*range(_BIG // 2, 4096, -1024), *range(4096, 0, -8)):
        while not big <= id(piece := bytes(size)) < big + _BIG:
            filling = (piece, filling)
    while not big <= id(smallest := object()) < big + _BIG:
        filling = (smallest, filling)
    return filling
