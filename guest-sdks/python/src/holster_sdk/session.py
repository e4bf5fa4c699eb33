"""What a tool says, and asks, while it runs: by its `Context`.

Progress and messages reach clients that want them, and nobody else; a tool need not ask whether there is one. A question
goes to the person that the call acts for. What they answer is an argument like any other: it grants nothing.
"""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from holster_sdk import errors

Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]

Form = TypeVar("Form")


@dataclass(frozen=True)
class Answer(Generic[Form]):
    """What a person did with a question."""

    action: Literal["accept", "decline", "cancel"]
    """They answered; they do not want to; they closed the question without a choice."""
    content: Form | None = None
    """What they answered, if they did."""


class AskError(errors.ToolError):
    """Why there is no answer. Not caught, it ends the call."""

    reason: str
    """The case of the contract."""
    words: str

    def __init__(self, detail: str) -> None:
        super().__init__(f"{self.words}: {detail}")
        self.detail = detail


class Unsupported(AskError, errors.Failed):
    """Nobody can be asked: the client of this call shows no questions, or there is none."""

    reason = "unsupported"
    words = "nobody can be asked"


class Invalid(AskError, errors.Failed):
    """The question is not as it has to be: the author's mistake."""

    reason = "invalid"
    words = "the question is not as it has to be"


class TooMany(AskError, errors.Unavailable):
    """The call, or the host, has too many questions."""

    reason = "too-many"
    words = "there are too many questions"


class Unanswered(AskError, errors.Unavailable):
    """No answer came in time, or none that fits."""

    reason = "unanswered"
    words = "there is no answer"
