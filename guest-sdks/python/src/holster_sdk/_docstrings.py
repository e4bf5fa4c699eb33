"""Docstrings: what a tool does, and what each parameter means.

Two ways of describing parameters are read: Google's section `Args:`, and lines such as `channel(str): where to look`.
The description of the tool is the text before either. Type names in docstrings are passed over; annotations count.
"""

import inspect
import re
from collections.abc import Collection
from dataclasses import dataclass, field

_SECTION = re.compile(r"(Args|Arguments|Parameters|Attributes|Returns?|Yields|Raises):\s*$")
_OF_PARAMETERS = {"Args", "Arguments", "Parameters", "Attributes"}
_ENTRY = re.compile(r"(?P<name>\w+)\s*(?:\([^()]*\))?\s*:\s*(?P<text>.*)$")
_TYPED_ENTRY = re.compile(r"(?P<name>\w+)\s*\([^()]*\)\s*:\s*(?P<text>.*)$")


@dataclass
class Docstring:
    """A docstring, taken apart."""

    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def parse(docstring: str | None, names: Collection[str]) -> Docstring:
    """Takes a docstring apart. `names` are the parameters that there are."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    start = next((number for number, line in enumerate(lines) if _starts_arguments(line, names)), len(lines))
    return Docstring(
        description="\n".join(lines[:start]).strip(),
        parameters={name: " ".join(texts).strip() for name, texts in _entries(lines[start:])},
    )


def _starts_arguments(line: str, names: Collection[str]) -> bool:
    entry = _TYPED_ENTRY.match(line)
    return bool(_SECTION.match(line)) or (entry is not None and entry["name"] in names)


def _entries(lines: list[str]) -> list[tuple[str, list[str]]]:
    """The names and texts of parameters. A line that is indented more than an entry continues it."""
    entries: list[tuple[str, list[str]]] = []
    is_of_parameters = True
    indent: int | None = None
    for line in lines:
        if section := _SECTION.match(line):
            is_of_parameters = section[1] in _OF_PARAMETERS
            indent = None
            continue
        text = line.strip()
        if not text or not is_of_parameters:
            continue
        depth = len(line) - len(line.lstrip())
        indent = depth if indent is None else indent
        if depth > indent and entries:
            entries[-1][1].append(text)
        elif entry := _ENTRY.match(text):
            entries.append((entry["name"], [entry["text"]]))
    return entries
