"""For whom, and until when, a call runs.

A tool that wants to know has a parameter with the annotation `Context`; it is no part of the tool's schema.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from holster_sdk import _host, _shapes, session

Form = TypeVar("Form")

_LAST_INSTANT = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Context:
    """The context of one call."""

    thread: str
    """The conversation that the call belongs to: an opaque name."""
    profile: str
    """The profile whose accounts serve the call, such as `work`."""
    deadline: datetime
    """When the host will end the call. Later by the time for which a person is asked."""

    @property
    def time_left(self) -> timedelta:
        """The time until the host ends the call; zero if that is overdue."""
        return max(self.deadline - datetime.now(UTC), timedelta())

    def log(self, level: session.Level, message: str) -> None:
        """Writes a message for the client's log, of at most 8 KiB. It holds no secret."""
        _host.current().log(level, message)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Says how far the call is, in whatever unit, and what it does, in at most 1 KiB of words.

        `done` grows from one report to the next; ten a second are enough.
        """
        _host.current().progress(done, total, message)

    def ask(self, message: str, form: type[Form]) -> session.Answer[Form]:
        """Asks the person that the call acts for, and waits; the time of the call stands still meanwhile.

        `message` says what is asked and why. `form` is a dataclass or a `TypedDict` whose fields are texts, numbers,
        booleans, choices, or lists of choices. Never ask for a password, a token or any other secret: those are accounts,
        which a person connects on a page of the host. Raises `session.AskError`.
        """
        shape = _shapes.of(form, f"the form `{form.__name__}`")
        schema = json.dumps(shape.schema, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        start = datetime.now(UTC)
        try:
            answer = _host.current().ask(message, schema)
        finally:
            object.__setattr__(self, "deadline", later(self.deadline, datetime.now(UTC) - start))
        if answer.content is None:
            return session.Answer(answer.action)
        try:
            content: Form = shape.read(json.loads(answer.content), "the answer")
        except ValueError as error:
            raise session.Unanswered(str(error)) from error
        return session.Answer(answer.action, content)


def later(moment: datetime, by: timedelta) -> datetime:
    """A moment moved on, within the time that there is."""
    return min(moment, _LAST_INSTANT - by) + by


def instant(seconds: float) -> datetime:
    """A point in time, from the seconds since the Unix epoch; the last that there is, if it lies beyond."""
    return datetime.fromtimestamp(min(seconds, _LAST_INSTANT.timestamp()), UTC)
