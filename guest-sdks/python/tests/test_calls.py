"""From JSON to a function, and from its result to content."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal, NotRequired, TypedDict

import pytest

from holster_sdk import (
    Audio,
    Context,
    DeclarationError,
    Failed,
    Image,
    InvalidArguments,
    Link,
    Output,
    RateLimited,
    ToolError,
    Unauthorised,
    testing,
    tool,
)
from holster_sdk._answers import Tools
from holster_sdk._tool import tool_of
from holster_sdk.output import Structured

END = datetime(9999, 1, 1, tzinfo=UTC)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int | None = None
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x lies left of everything")


class Options(TypedDict):
    colour: Colour
    unit: NotRequired[str]
    note: str | None


def read(annotation: Any, value: Any) -> Any:
    """What a function gets for an argument."""
    got = []

    @tool
    def subject(value: annotation) -> None:
        """Keeps its argument."""
        got.append(value)

    testing.call(subject, {"value": value})
    return got[0]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, 5.0, 5),
        (float, 5, 5.0),
        (bool, True, True),
        (Colour, "blue", Colour.BLUE),
        (Literal[1, 2], 2, 2),
        (list[Point], [{"x": 1}], [Point(1)]),
        (dict[str, Point], {"a": {"x": 1, "y": None, "tags": ["t"]}}, {"a": Point(1, None, ["t"])}),
        (Options, {"colour": "red"}, {"colour": Colour.RED, "note": None}),
        (Any, [{"a": None}], [{"a": None}]),
    ],
)
def test_an_argument_arrives_as_its_type(annotation: Any, value: Any, expected: Any) -> None:
    got = read(annotation, value)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (int, True, "`value` is true or false, not an integer"),
        (int, 1.5, "`value` is a number, not an integer"),
        (float, "1", "`value` is a text, not a finite number"),
        (float, 10**400, "`value` is a number, not a finite number"),
        (str, None, "`value` is nothing, not a text"),
        (Colour, "green", "`value` is a text, not one of red, blue"),
        (list[Point], [{"x": 1}, {"y": 1}], "`value[1].x` is missing"),
        (Point, {"x": 1, "z": 1}, "there is no `value.z`"),
        (Point, {"x": -1}, "`value`: x lies left of everything"),
        (dict[str, int], {"a": []}, "`value.a` is a list, not an integer"),
    ],
)
def test_an_argument_of_another_type_is_refused_with_its_place(annotation: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        read(annotation, value)
    assert str(caught.value) == message


@tool
def shout(word: str, context: Context, mark: str = "!", note: str | None = None) -> str:
    """Shouts."""
    return f"{word}{mark}{note or ''} {context.profile} {context.time_left.total_seconds() > 0}"


def test_what_was_left_out_has_its_default() -> None:
    assert testing.call(shout, {"word": "ho"}, profile="work") == ("ho! work True",)


def test_a_tool_stays_a_plain_function() -> None:
    assert shout.__name__ == "shout"
    assert shout("ho", Context("t", "work", END)) == "ho! work True"


@pytest.mark.parametrize("arguments", ["", "[]", "null", "{", "[" * 100_000, '{"word": ' + "1" * 5000 + "}"])
def test_what_is_no_object_is_refused(arguments: str) -> None:
    context = Context("t", "p", END)
    with pytest.raises(InvalidArguments, match="the arguments are not a JSON object"):
        Tools([tool_of(shout)]).call("shout", arguments, context)


def test_a_component_has_tools_and_each_has_its_own_name() -> None:
    with pytest.raises(DeclarationError, match="the module declares no tool; decorate a function with `@tool`"):
        Tools([])
    with pytest.raises(DeclarationError, match="there are two tools `shout`; rename one"):
        Tools([tool_of(shout), tool_of(shout)])


def test_an_unknown_tool_is_an_invalid_argument() -> None:
    context = Context("t", "p", END)
    with pytest.raises(InvalidArguments, match="there is no tool `whisper` in this component"):
        Tools([tool_of(shout)]).call("whisper", "{}", context)


def answer(annotation: Any, result: Any) -> Any:
    @tool
    def subject() -> annotation:
        """Returns what it was given."""
        return result

    return testing.call(subject, {})


PICTURE = Image(b"\x89PNG", "image/png")
PIECES = ("Look:", PICTURE, Audio(b"ID3", "audio/mpeg"), Link("https://example.com", "a page"))


@pytest.mark.parametrize(
    ("annotation", "result", "content"),
    [
        (str, "text", ("text",)),
        (str | None, None, ()),
        (None, None, ()),
        (Output, Output(*PIECES), PIECES),
        (Output, Output(), ()),
        (Point, Point(1), (Structured('{"x":1,"tags":[]}'),)),
        (Options, {"colour": Colour.RED, "note": "é"}, (Structured('{"colour":"red","note":"é"}'),)),
        (dict[str, int], {"a": 1}, (Structured('{"a":1}'),)),
        (list[Point], [Point(1, 2)], (Structured('{"result":[{"x":1,"y":2,"tags":[]}]}'),)),
        (float, 2, (Structured('{"result":2.0}'),)),
        (int | None, None, (Structured("{}"),)),
        (Literal["a"], "a", (Structured('{"result":"a"}'),)),
        (Any, "text", ("text",)),
        (Any, None, ()),
        (Any, PICTURE, (PICTURE,)),
        (Any, Point(1), (Structured('{"x":1,"tags":[]}'),)),
        (Any, [Point(1), Colour.RED], (Structured('{"result":[{"x":1,"tags":[]},"red"]}'),)),
    ],
)
def test_a_result_becomes_content_by_the_annotation(annotation: Any, result: Any, content: Any) -> None:
    assert answer(annotation, result) == content


@pytest.mark.parametrize(
    ("annotation", "result", "message"),
    [
        (str, 5, "the tool returned what it does not declare: `the result` is of type int, not str"),
        (Output, "text", "`the result` is of type str, not Output"),
        (None, "text", "`the result` is of type str, not None"),
        (Point, {"x": 1}, "`the result` is an object, not a Point"),
        (list[int], [1, "2"], "`result[1]` is a text, not an integer"),
        (list[int], None, "`result` is missing"),
        (float, float("nan"), "`result` is a number, not a finite number"),
        (Options, {"colour": Colour.RED, "size": 1}, "there is no `the result.size` in `Options`"),
        (Any, {"when": object()}, "TypeError: a result holds something of type object, which has no form in JSON"),
    ],
)
def test_a_result_of_another_type_is_a_failure_that_says_so(annotation: Any, result: Any, message: str) -> None:
    with pytest.raises(Failed) as caught:
        answer(annotation, result)
    assert message in str(caught.value)


def raising(error: BaseException) -> Any:
    @tool
    def subject() -> None:
        """Raises."""
        raise error

    return subject


@pytest.mark.parametrize("error", [InvalidArguments("no"), Unauthorised("slack"), RateLimited(7), ToolError("no")])
def test_an_error_of_the_contract_passes_as_it_is(error: ToolError) -> None:
    with pytest.raises(ToolError) as caught:
        testing.call(raising(error), {})
    assert caught.value is error


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("name"), "KeyError: 'name'"),
        (SystemExit(3), "SystemExit: 3"),
        (Speechless(), "Speechless: it cannot say why"),
        (ModuleNotFoundError("No module named 'x'"), "a component holds what is imported at the top of a module"),
    ],
)
def test_any_other_exception_is_a_failure_and_its_traceback_is_logged(
    error: BaseException, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Failed) as caught:
        testing.call(raising(error), {})
    assert message in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert "in subject" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (7, 7),
        ("30", 30),
        (" 1.2 ", 2),
        (None, None),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        (-1, None),
        ("nan", None),
        ("inf", None),
        (10**12, 2**32 - 1),
    ],
)
def test_patience_is_counted_in_whole_seconds_or_not_at_all(given: Any, seconds: int | None) -> None:
    assert RateLimited(given).retry_after == seconds
