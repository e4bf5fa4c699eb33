"""The tools that the hosts are measured with, as an author writes them for Holster in Python."""

from typing import Annotated

from holster_sdk import Param, tool


@tool(read_only=True, idempotent=True, open_world=False)
def echo(text: str) -> str:
    """Gives a text back.

    text(str): The text.
    """
    return text


@tool(read_only=True, idempotent=True, open_world=False)
def big(bytes: Annotated[int, Param(minimum=0)]) -> str:
    """Gives a text of some length.

    bytes(int): How many bytes.
    """
    return "x" * bytes


@tool(read_only=True, idempotent=True, open_world=False)
def spin() -> str:
    """Never ends."""
    while True:
        pass
