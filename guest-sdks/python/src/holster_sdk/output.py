"""What a tool answers with, where a text or a value is not enough: pictures, sounds, links, several pieces.

A tool that returns an `Output` decides on every piece of content itself, and has no output schema.
"""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Image:
    """A picture. The bytes are raw, not encoded; the media type is such as `image/png`."""

    data: bytes = field(repr=False)
    mime_type: str


@dataclass(frozen=True)
class Audio:
    """A sound. The bytes are raw, not encoded; the media type is such as `audio/mpeg`."""

    data: bytes = field(repr=False)
    mime_type: str


@dataclass(frozen=True)
class Link:
    """A pointer, an absolute URI, to something that the client may fetch by itself."""

    uri: str
    name: str
    description: str | None = None
    mime_type: str | None = None


@dataclass(frozen=True)
class Resource:
    """A resource, whole: a text, or raw bytes. `uri` is absolute; the client need not be able to fetch it."""

    uri: str
    contents: str | bytes = field(repr=False)
    mime_type: str | None = None


@dataclass(frozen=True)
class Structured:
    """A JSON object, as text. The SDK makes it of a typed result."""

    text: str

    @property
    def value(self) -> dict[str, Any]:
        """The object."""
        value: dict[str, Any] = json.loads(self.text)
        return value


Piece = str | Image | Audio | Link | Resource | Structured


class Output:
    """Pieces of content, in the order in which the client should show them."""

    def __init__(self, *pieces: str | Image | Audio | Link | Resource) -> None:
        for piece in pieces:
            if not isinstance(piece, str | Image | Audio | Link | Resource):
                kind = type(piece).__name__
                raise TypeError(f"an `Output` holds texts, `Image`, `Audio`, `Link` and `Resource`, but no {kind}")
        self.pieces: tuple[Piece, ...] = pieces

    def __repr__(self) -> str:
        return f"Output({', '.join(map(repr, self.pieces))})"
