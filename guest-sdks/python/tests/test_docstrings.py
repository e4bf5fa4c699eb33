"""Descriptions, in both ways of writing them."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from holster_sdk import DeclarationError, Param, testing, tool


def descriptions(function: Callable[..., Any]) -> dict[str, str | None]:
    properties = json.loads(testing.definition(function).input_schema)["properties"]
    return {name: schema.get("description") for name, schema in properties.items()}


def test_lines_of_parameters_end_the_description() -> None:
    @tool
    def subject(channel: str, limit: int, other: str) -> None:
        """
        Fetch recent messages from a Slack channel.

        Newest first; see: the manual.

        channel(str): slack channel name
        limit (int): message limit,
            at most 100
        """

    description = "Fetch recent messages from a Slack channel.\n\nNewest first; see: the manual."
    assert testing.definition(subject).description == description
    assert descriptions(subject) == {
        "channel": "slack channel name",
        "limit": "message limit, at most 100",
        "other": None,
    }


def test_a_section_of_arguments_ends_the_description() -> None:
    @tool
    def subject(channel: str, limit: int) -> None:
        """Fetches messages.

        Args:
            channel: Where to look,
                and: only there.
            limit (int, optional): How many.

        Returns:
            channel: This is no parameter.
        """

    assert testing.definition(subject).description == "Fetches messages."
    assert descriptions(subject) == {"channel": "Where to look, and: only there.", "limit": "How many."}


def test_param_counts_more_than_the_docstring() -> None:
    @tool
    def subject(word: Annotated[str, Param("From the annotation.")]) -> None:
        """Does nothing.

        word(str): From the docstring.
        """

    assert descriptions(subject) == {"word": "From the annotation."}


def test_the_decorator_can_say_everything_itself() -> None:
    @tool(name="other-name", title="A title", description="For the model.", destructive=False)
    def subject() -> None:
        """For programmers."""

    definition = testing.definition(subject)
    assert (definition.name, definition.title, definition.description) == ("other-name", "A title", "For the model.")
    assert definition.behaviour.destructive is False
    assert definition.behaviour.read_only is None


def test_a_described_parameter_that_is_not_there_is_an_error() -> None:
    with pytest.raises(
        DeclarationError, match="tool `subject`: its docstring describes `chanel`, which is no parameter"
    ):

        @tool
        def subject(channel: str) -> None:
            """Fetches messages.

            Args:
                chanel: Where to look.
            """
