"""What annotations become for agents."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import pytest

from holster_sdk import Context, Param, testing, tool


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(Enum):
    SMALL = 1
    LARGE = 2


@dataclass
class Place:
    """A place.

    Attributes:
        name: How it is called.
    """

    name: str
    floor: Annotated[int, Param("Counted from the street.", minimum=-5)] = 0
    notes: list[str] = field(default_factory=list)
    within: Annotated[str | None, Param("What it lies in.")] = None


class Visit(TypedDict):
    place: Place
    stars: Annotated[int, Param("How good it was.", minimum=1, maximum=5)]
    remark: NotRequired[str]
    friend: str | None


PLACE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "How it is called."},
        "floor": {"type": "integer", "minimum": -5, "description": "Counted from the street.", "default": 0},
        "notes": {"type": "array", "items": {"type": "string"}},
        "within": {"type": "string", "description": "What it lies in."},
    },
    "required": ["name"],
    "additionalProperties": False,
}
VISIT = {
    "type": "object",
    "properties": {
        "place": PLACE,
        "stars": {"type": "integer", "minimum": 1, "maximum": 5, "description": "How good it was."},
        "remark": {"type": "string"},
        "friend": {"type": "string"},
    },
    "required": ["place", "stars"],
    "additionalProperties": False,
}


def input_schema(function: Callable[..., Any]) -> Any:
    return json.loads(testing.definition(function).input_schema)


def output_schema(function: Callable[..., Any]) -> Any:
    schema = testing.definition(function).output_schema
    return None if schema is None else json.loads(schema)


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (Any, {}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (Size, {"type": "string", "enum": ["SMALL", "LARGE"]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (list, {"type": "array", "items": True}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (dict, {"type": "object", "additionalProperties": True}),
        (Annotated[str, Param(max_length=3)], {"type": "string", "maxLength": 3}),
        (Annotated[list[str], Param(min_length=1)], {"type": "array", "items": {"type": "string"}, "minItems": 1}),
        (list[Annotated[int, Param(minimum=0)]], {"type": "array", "items": {"type": "integer", "minimum": 0}}),
        (Place, PLACE),
        (Visit, VISIT),
        (list[Visit], {"type": "array", "items": VISIT}),
    ],
)
def test_an_annotation_has_one_canonical_schema(annotation: Any, schema: Any) -> None:
    @tool
    def subject(value: annotation) -> None:
        """Does nothing."""

    assert input_schema(subject) == {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "annotation",
    [int | None, Optional[int], Annotated[int | None, Param()], Annotated[int, Param()] | None],  # noqa: UP045
)
def test_what_may_be_none_may_be_left_out_and_has_the_schema_of_the_inner_type(annotation: Any) -> None:
    @tool
    def subject(value: annotation) -> None:
        """Does nothing."""

    schema = {"type": "object", "properties": {"value": {"type": "integer"}}, "additionalProperties": False}
    assert input_schema(subject) == schema


def test_a_default_is_in_the_schema_unless_it_is_none() -> None:
    @tool
    def subject(colour: Colour = Colour.BLUE, count: int | None = 3, note: str | None = None) -> None:
        """Does nothing."""

    assert input_schema(subject)["properties"] == {
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "blue"},
        "count": {"type": "integer", "default": 3},
        "note": {"type": "string"},
    }
    assert "required" not in input_schema(subject)


def test_required_parameters_come_in_the_order_of_the_function() -> None:
    @tool
    def subject(zebra: str, ape: str, *, lion: str) -> None:
        """Does nothing."""

    assert input_schema(subject)["required"] == ["zebra", "ape", "lion"]


def test_the_context_is_no_parameter_for_agents() -> None:
    @tool
    def subject(context: Context, word: str) -> None:
        """Does nothing."""

    assert list(input_schema(subject)["properties"]) == ["word"]


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (None, None),
        (str, None),
        (str | None, None),
        (Any, None),
        (Place, PLACE),
        (Visit, VISIT),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    ],
)
def test_only_a_typed_object_has_its_own_schema_as_the_output(annotation: Any, schema: Any) -> None:
    @tool
    def subject() -> annotation:
        """Does nothing."""

    assert output_schema(subject) == schema


@pytest.mark.parametrize(("annotation", "required"), [(list[int], ["result"]), (list[int] | None, None)])
def test_any_other_result_is_wrapped(annotation: Any, required: Any) -> None:
    @tool
    def subject() -> annotation:
        """Does nothing."""

    schema = output_schema(subject)
    assert schema["properties"] == {"result": {"type": "array", "items": {"type": "integer"}}}
    assert schema.get("required") == required
