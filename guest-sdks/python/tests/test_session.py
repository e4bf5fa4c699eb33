"""What a tool says and asks while it runs."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import pytest
from conftest import load
from test_build import README

from holster_sdk import Context, Failed, Output, Param, Resource, Unavailable, session, testing, tool


@dataclass
class Visit:
    name: Annotated[str, Param("Who comes.")]
    guests: int | None = None
    meal: Literal["fish", "greens"] = "fish"


@tool
def invite(context: Context) -> str:
    """Asks who comes."""
    context.log("info", "it begins")
    context.progress(1, 2, "asking")
    answer = context.ask("Who comes?", Visit)
    return f"{answer.action}: {answer.content}"


def said(entered: object) -> str:
    with testing.host(answer=lambda message: entered if message == "Who comes?" else None):  # type: ignore[arg-type,return-value]
        [text] = testing.call(invite, {})
    return str(text)


def test_an_answer_is_of_the_form_that_was_asked() -> None:
    assert said({"name": "Ann"}) == "accept: Visit(name='Ann', guests=None, meal='fish')"
    assert said({"name": "Ann", "guests": 2, "meal": "greens"}) == "accept: Visit(name='Ann', guests=2, meal='greens')"
    assert said(None) == "decline: None"
    with pytest.raises(Unavailable, match=r"there is no answer: .*`the answer\.name`|there is no answer: "):
        said({"name": 1})


def test_where_nobody_can_be_asked_the_tool_is_told_so_and_messages_go_nowhere() -> None:
    with testing.host(), pytest.raises(session.Unsupported, match="this test answers no questions"):
        testing.call(invite, {})
    with pytest.raises(Failed, match="nobody can be asked: there is no host here"):
        invite(Context("t", "p", datetime.now(UTC)))


def test_the_deadline_moves_on_while_a_person_thinks() -> None:
    context = Context("t", "p", datetime.now(UTC))
    before = context.deadline
    with testing.host(answer=lambda _: None):
        context.ask("Who comes?", Visit)
    assert context.deadline > before
    last = Context("t", "p", datetime.max.replace(tzinfo=UTC))
    with testing.host(answer=lambda _: None):
        last.ask("Who comes?", Visit)
    assert last.deadline.year == 9999


def test_a_resource_is_a_piece_of_an_answer() -> None:
    @tool
    def page() -> Output:
        """Gives a page."""
        return Output("here", Resource("test://page", "# Hello", "text/markdown"))

    assert testing.call(page, {}) == ("here", Resource("test://page", "# Hello", "text/markdown"))


def test_the_example_of_the_readme_asks_what_it_says(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    [example] = [block for block in blocks if block.startswith("# tidy.py\n")]
    (tmp_path / "tidy.py").write_text(example)
    tidy_up = load(tmp_path / "tidy.py").tidy_up
    for entered, expected in (({"keep": "all"}, "It is tidy."), (None, "Nothing was done.")):
        with testing.host(answer=lambda _, entered=entered: entered):  # type: ignore[misc]
            assert testing.call(tidy_up, {}) == (expected,)
