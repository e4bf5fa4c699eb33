"""Mistakes of authors, found when the function is declared."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest

from holster_sdk import Account, DeclarationError, Output, Param, testing, tool


@dataclass
class Tree:
    children: "list[Tree]"


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (datetime, "tool `subject`, parameter `value`: `datetime` has no form in JSON; allowed are str, int"),
        (bytes, "`bytes` has no form in JSON"),
        (int | str, "it can be one of several types"),
        (list[int | None], "parameter `value`, in its list: `| None` is for parameters and fields"),
        (dict[int, str], "the keys of a JSON object are texts"),
        (Literal["a", 1], "its values are neither all texts nor all integers"),
        (Tree, "field `children` of `Tree`, in its list: `Tree` contains itself"),
        (Annotated[str, Param(minimum=1)], "`minimum` and `maximum` are for numbers"),
        (Annotated[int, Param(max_length=1)], "`min_length` and `max_length` are for texts and lists"),
        (Output, "`Output` has no form in JSON"),
        ("Nowhere", "an annotation cannot be understood: name 'Nowhere' is not defined"),
    ],
)
def test_an_annotation_that_means_nothing_is_named_with_its_place(annotation: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)):

        @tool
        def subject(value: annotation) -> None:
            """Does nothing."""


def kwargs(**kwargs: str) -> None:
    """Does nothing."""


def positional(*words: str) -> None:
    """Does nothing."""


def untyped(word) -> None:  # type: ignore[no-untyped-def]
    """Does nothing."""


def none(count: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
    """Does nothing."""


def wrong(count: int = "three") -> None:  # type: ignore[assignment]
    """Does nothing."""


def beyond(count: Annotated[int, Param(maximum=9)] = 10) -> None:
    """Does nothing."""


def silent() -> None: ...


async def later() -> None:
    """Does nothing."""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (kwargs, "parameter `kwargs`: name every parameter; a token comes from `auth.get`, not from `**kwargs`"),
        (positional, "parameter `words`: arguments are given by name"),
        (untyped, "parameter `word`: it has no type; allowed are"),
        (none, "parameter `count`: its default is None, so its annotation needs `| None`"),
        (wrong, "parameter `count`: `the default` is a text, not an integer"),
        (beyond, "parameter `count`: the default 10 is not within -inf and 9"),
        (silent, "tool `silent`: it has no docstring"),
        (later, "tool `later`: it is async; write `def`"),
        (str.upper, "only a function can be a tool"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)):
        tool(function)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auth": "Slack"}, "the provider 'Slack' is no id"),
        ({"auth": "slack", "scopes": "chat:write"}, "`scopes` is a list; write `scopes=['chat:write']`"),
        ({"auth": ["slack", Account("slack", ["a"])]}, "it needs two accounts at `slack`"),
        ({"auth": [Account("slack")], "scopes": ["a"]}, "`scopes` belong to one provider"),
        ({"auth": Account("slack", ["x"] * 65)}, "it needs more than 64 scopes at `slack`"),
        ({"auth": Account("slack", ["x" * 257])}, "a scope has 1 to 256 bytes"),
        ({"auth": [f"p{number}" for number in range(17)]}, "it needs more than 16 accounts"),
        ({"name": "a name"}, "tool `a name`: a name has 1 to 64 of the characters"),
        ({"title": "x" * 129}, "its title is longer than 128 characters"),
        ({"description": "x" * 8193}, "its description is longer than 8192 bytes"),
    ],
)
def test_what_the_contract_does_not_allow_is_refused(options: dict[str, Any], message: str) -> None:
    def subject() -> None:
        """Does nothing."""

    with pytest.raises(DeclarationError, match=re.escape(message)):
        tool(**options)(subject)


def test_requirements_are_written_in_three_ways() -> None:
    ways: list[dict[str, Any]] = [
        {"auth": "slack", "scopes": ["chat:write"]},
        {"auth": Account("slack", scopes=["chat:write"])},
        {"auth": [Account("slack", scopes=["chat:write"])]},
    ]
    for options in ways:

        @tool(**options)
        def subject() -> None:
            """Does nothing."""

        assert testing.definition(subject).requirements == (Account("slack", ["chat:write"]),)
