"""What becomes of a call, whatever the tool does: pieces of an answer, or one of the errors of the contract."""

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from holster_sdk._tool import Tool
from holster_sdk.context import Context
from holster_sdk.errors import DeclarationError, Failed, InvalidArguments, ToolError
from holster_sdk.output import Piece


class Tools:
    """The tools of one component, by name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            name = tool.definition.name
            if name in self._tools:
                raise DeclarationError(f"there are two tools `{name}`; rename one")
            self._tools[name] = tool
        if not self._tools:
            raise DeclarationError("the module declares no tool; decorate a function with `@tool`")

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def call(self, name: str, arguments: str, context: Callable[[], Context]) -> tuple[Piece, ...]:
        """Calls a tool, which is given the context if it asks for it. Raises nothing but `ToolError`."""
        tool = self._tools.get(name)
        if tool is None:
            raise InvalidArguments(f"there is no tool `{name}` in this component")
        try:
            return tool.call(arguments, context)
        except ToolError:
            raise
        except (Exception, SystemExit) as error:
            raise _failure(error) from error


def _failure(error: BaseException) -> Failed:
    """What an error that the tool did not mean to answer with says; where it happened goes to the host's log."""
    with suppress(Exception):  # a log that is closed changes no answer
        traceback.print_exc(file=sys.stderr)
    kind = type(error).__name__
    try:
        message = str(error)
    except Exception:
        message = "it cannot say why"
    if isinstance(error, ImportError):
        message += "; a component holds what is imported at the top of a module"
    return Failed(f"{kind}: {message}")
