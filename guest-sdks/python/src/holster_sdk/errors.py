"""Why a tool does not succeed.

A tool raises one of these. Their texts reach the model and the person, so they say what went wrong and what to do, and
hold no secret. Any other exception ends the call as `Failed`, with its type and message; its traceback goes to the
host's log.
"""

import math

_LONGEST_WAIT = 2**32 - 1


class ToolError(Exception):
    """The base of all: catches whatever a tool can answer with."""


class InvalidArguments(ToolError):
    """The arguments satisfy the schema, but make no sense to the tool."""


class Unauthorised(ToolError):
    """The provider refused the credential (HTTP 401 or 403): the account must be connected anew."""

    def __init__(self, provider: str) -> None:
        super().__init__(f"`{provider}` refused the credential")
        self.provider = provider


class RateLimited(ToolError):
    """The provider asks for patience.

    `retry_after` is in seconds, and may be the text of the header `Retry-After`. That may also hold a date
    (RFC 9110 §10.2.3), which is left unsaid, as is what makes no sense.
    """

    def __init__(self, retry_after: float | str | None = None) -> None:
        self.retry_after = _whole_seconds(retry_after)
        wait = "later" if self.retry_after is None else f"in {self.retry_after} s"
        super().__init__(f"the provider asks for patience; try again {wait}")


class Unavailable(ToolError):
    """A service that the tool needs does not answer; the same call may succeed later."""


class Failed(ToolError):
    """Anything else."""


class DeclarationError(TypeError):
    """A function cannot be a tool as it is declared: the author's mistake, found before anything is built."""


def _whole_seconds(value: float | str | None) -> int | None:
    try:
        seconds = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return min(math.ceil(seconds), _LONGEST_WAIT) if 0 <= seconds < math.inf else None
