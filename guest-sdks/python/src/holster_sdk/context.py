"""For whom, and until when, a call runs.

A tool that wants to know has a parameter with the annotation `Context`; it is no part of the tool's schema.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_LAST_INSTANT = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Context:
    """The context of one call."""

    thread: str
    """The conversation that the call belongs to: an opaque name."""
    profile: str
    """The profile whose accounts serve the call, such as `work`."""
    deadline: datetime
    """When the host will end the call."""

    @property
    def time_left(self) -> timedelta:
        """The time until the host ends the call; zero if that is overdue."""
        return max(self.deadline - datetime.now(UTC), timedelta())


def instant(seconds: float) -> datetime:
    """A point in time, from the seconds since the Unix epoch; the last that there is, if it lies beyond."""
    return datetime.fromtimestamp(min(seconds, _LAST_INSTANT.timestamp()), UTC)
