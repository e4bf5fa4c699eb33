"""The decorator `@tool`: a typed function becomes a tool.

Everything that a host wants to know of a tool is worked out when the function is declared, which for a component is
while it is built. A call reads the arguments, runs the function and writes its result, no more.
"""

import dataclasses
import enum
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, overload

from holster_sdk import _docstrings, _shapes
from holster_sdk._shapes import Member, Mismatch
from holster_sdk.context import Context
from holster_sdk.errors import DeclarationError, Failed, InvalidArguments
from holster_sdk.output import Audio, Image, Link, Output, Piece, Resource, Structured

Function = TypeVar("Function", bound=Callable[..., Any])
Answer = Callable[[Any], tuple[Piece, ...]]

# The bounds of the contract, `wit/tool.wit`.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PROVIDER = re.compile(r"[a-z0-9_-]{1,64}")
_TITLE_CHARACTERS = 128
_DESCRIPTION_BYTES = 8192
_SCHEMA_BYTES = 64 << 10
_REQUIREMENTS = 16
_SCOPES = 64
_SCOPE_BYTES = 256


@dataclass(frozen=True, init=False)
class Account:
    """What a tool needs before it can run: an account at a provider, with these scopes."""

    provider: str
    scopes: tuple[str, ...]

    def __init__(self, provider: str, scopes: Sequence[str] = ()) -> None:
        object.__setattr__(self, "provider", provider)
        object.__setattr__(self, "scopes", tuple(scopes))


@dataclass(frozen=True)
class Behaviour:
    """Hints for the agent and the person. `None` is what the author did not say."""

    read_only: bool | None
    destructive: bool | None
    idempotent: bool | None
    open_world: bool | None


UNSAID = Behaviour(None, None, None, None)


@dataclass(frozen=True)
class Definition:
    """A tool as agents see it. The schemas are JSON."""

    name: str
    title: str | None
    description: str
    input_schema: str
    output_schema: str | None
    requirements: tuple[Account, ...]
    behaviour: Behaviour


@dataclass(frozen=True)
class Tool:
    """A definition, and the function behind it."""

    definition: Definition
    function: Callable[..., Any]
    members: Mapping[str, Member]
    context_name: str | None
    answer: Answer

    def call(self, arguments: str, context: Callable[[], Context]) -> tuple[Piece, ...]:
        """Runs the function. `arguments` are a JSON object. Raises what the function raises, and `InvalidArguments`."""
        given = self._read(arguments)
        if self.context_name is not None:
            given[self.context_name] = context()
        result = self.function(**given)
        try:
            return self.answer(result)
        except Mismatch as error:
            raise Failed(f"the tool returned what it does not declare: {error}") from error

    def _read(self, arguments: str) -> dict[str, Any]:
        try:
            value = _value(arguments)
        except (ValueError, RecursionError) as error:
            raise InvalidArguments(f"the arguments are not a JSON object: {error}") from None
        if not isinstance(value, dict):
            raise InvalidArguments("the arguments are not a JSON object")
        try:
            return _shapes.read_members(self.members, value, "")
        except Mismatch as error:
            raise InvalidArguments(str(error)) from error


registered: list[Tool] = []
"""All tools that were declared, in order."""


@overload
def tool(function: Function, /) -> Function: ...
@overload
def tool(
    *,
    auth: str | Account | Sequence[str | Account] = (),
    scopes: Sequence[str] = (),
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    read_only: bool | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
) -> Callable[[Function], Function]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    auth: str | Account | Sequence[str | Account] = (),
    scopes: Sequence[str] = (),
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    read_only: bool | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
) -> Any:
    """Makes a tool of a function, which stays as it is. Also without arguments: `@tool`.

    Args:
        auth: The provider of the account that the tool needs, or a list of `Account`, one for each provider.
        scopes: The scopes that the tool uses, in the provider's own spelling, where `auth` is one provider.
        name: The tool's name, if it is not the function's.
        title: A name for people.
        description: What the tool does, for the model that chooses it, if it is not the docstring's text.
        read_only: The tool changes nothing outside itself.
        destructive: A change that it makes may remove or overwrite something.
        idempotent: A second call with the same arguments has no further effect.
        open_world: The tool reaches things that the host does not know in advance, such as the web.
    """
    behaviour = Behaviour(read_only, destructive, idempotent, open_world)

    def declare(function: Function) -> Function:
        subject = f"tool `{name or getattr(function, '__name__', function)}`"
        requirements = _requirements(auth, scopes, subject)
        made = declared(function, subject, name, title, description, requirements, behaviour)
        registered.append(made)
        function.__holster_tool__ = made  # type: ignore[attr-defined]
        return function

    return declare if function is None else declare(function)


def tool_of(function: Callable[..., Any]) -> Tool:
    """The tool that a function was made into."""
    made = getattr(function, "__holster_tool__", None)
    if not isinstance(made, Tool):
        raise TypeError(f"`{getattr(function, '__name__', function)}` is no tool; decorate it with `@tool`")
    return made


def declared(
    function: Callable[..., Any],
    subject: str,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    requirements: tuple[Account, ...] = (),
    behaviour: Behaviour = UNSAID,
) -> Tool:
    """A tool of a function, which no component has yet. `subject` names it in errors."""
    if not inspect.isfunction(function):
        raise DeclarationError(f"{subject}: only a function can be a tool; `@tool` stands above all other decorators")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(f"{subject}: it is async; write `def`, as a call has nothing to wait for but itself")
    annotations = _shapes.hints(function, subject)
    members, context_name = _parameters(function, annotations, subject)
    docstring = _docstrings.parse(function.__doc__, members)
    for unknown in docstring.parameters.keys() - members.keys() - {context_name}:
        raise DeclarationError(f"{subject}: its docstring describes `{unknown}`, which is no parameter")
    members = {
        member.name: dataclasses.replace(member, description=docstring.parameters.get(member.name))
        for member in members.values()
    }
    output_schema, answer = _result(annotations, subject)
    definition = Definition(
        name or function.__name__,
        title,
        inspect.cleandoc(description) if description is not None else docstring.description,
        _json(_shapes.object_schema(members.values())),
        None if output_schema is None else _json(output_schema),
        requirements,
        behaviour,
    )
    _check(definition, subject)
    return Tool(definition, function, members, context_name, answer)


def _requirements(
    auth: str | Account | Sequence[str | Account], scopes: Sequence[str], subject: str
) -> tuple[Account, ...]:
    if isinstance(scopes, str):
        raise DeclarationError(f"{subject}: `scopes` is a list; write `scopes=[{scopes!r}]`")
    if isinstance(auth, str):
        return (Account(auth, scopes),)
    if scopes:
        raise DeclarationError(f"{subject}: `scopes` belong to one provider; write `auth=[Account(…, scopes=[…])]`")
    accounts = [auth] if isinstance(auth, Account) else auth
    return tuple(account if isinstance(account, Account) else Account(account) for account in accounts)


def _parameters(
    function: Callable[..., Any], annotations: Mapping[str, Any], subject: str
) -> tuple[dict[str, Member], str | None]:
    """The parameters that agents see, and the name of the one that takes the context."""
    members: dict[str, Member] = {}
    context_name = None
    for parameter in inspect.signature(function).parameters.values():
        name, default = parameter.name, parameter.default
        place = f"{subject}, parameter `{name}`"
        if parameter.kind is parameter.VAR_KEYWORD:
            raise DeclarationError(f"{place}: name every parameter; a token comes from `auth.get`, not from `**{name}`")
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise DeclarationError(f"{place}: arguments are given by name, so it cannot be positional only")
        if name not in annotations:
            raise DeclarationError(f"{place}: it has no type; {_shapes.ALLOWED}")
        if annotations[name] is Context:
            context_name = name
            continue
        shape = _shapes.of(annotations[name], place)
        has_default = default is not parameter.empty
        members[name] = Member(
            name,
            shape,
            has_default=has_default,
            default=_shapes.default_of(default, shape, place) if has_default else _shapes.NOT_SHOWN,
        )
    return members, context_name


def _result(annotations: Mapping[str, Any], subject: str) -> tuple[_shapes.Schema | None, Answer]:
    """What the annotation of the result makes of a result: its schema, and the pieces of the answer."""
    annotation = annotations.get("return", Any)
    place = f"{subject}, its result"
    if get_origin(annotation) is Annotated and get_args(annotation)[0] is str:
        annotation = str
    if annotation in (str, type(None), Output, str | None, Output | None, Any):
        return None, _untyped if annotation is Any else _plain(annotation)
    shape = _shapes.of(annotation, place)
    if shape.is_object and not shape.may_be_none:
        return _of_result(shape.schema), lambda result: (_structured(shape.write(result, "the result")),)
    members = {"result": Member("result", shape)}

    def wrapped(result: Any) -> tuple[Piece, ...]:
        return (_structured(_shapes.write_members(members, {"result": result}, "")),)

    return _shapes.object_schema(members.values()), wrapped


def _of_result(schema: _shapes.Schema) -> _shapes.Schema:
    return {name: value for name, value in schema.items() if name != "description"}


def _plain(annotation: Any) -> Answer:
    """The answer of a tool that returns a text, an `Output` or nothing."""
    allowed = get_args(annotation) or (annotation,)

    def answer(result: Any) -> tuple[Piece, ...]:
        if result is None and type(None) in allowed:
            return ()
        if isinstance(result, str) and str in allowed:
            return (str(result),)
        if isinstance(result, Output) and Output in allowed:
            return result.pieces
        names = " or ".join("None" if case is type(None) else case.__name__ for case in allowed)
        raise Mismatch(f"`the result` is of type {type(result).__name__}, not {names}")

    return answer


def _untyped(result: Any) -> tuple[Piece, ...]:
    """The answer of a tool that does not declare what it returns."""
    match result:
        case None:
            return ()
        case str():
            return (str(result),)
        case Output():
            return result.pieces
        case Image() | Audio() | Link() | Resource():
            return (result,)
    plain = _plain_data(result) if dataclasses.is_dataclass(result) else result
    return (_structured(plain if isinstance(plain, dict) else {"result": plain}),)


def _structured(value: Mapping[str, Any]) -> Structured:
    return Structured(_json(value, default=_plain_data))


def _plain_data(value: Any) -> Any:
    """What JSON has no word for, but an author may expect it to understand."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: inner for name, inner in _shapes.vars_of(value).items() if inner is not None}
    if isinstance(value, enum.Enum):
        return value.value if isinstance(value.value, str) else value.name
    raise TypeError(f"a result holds something of type {type(value).__name__}, which has no form in JSON")


def _json(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default)


_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _value(text: str) -> Any:
    """A JSON text as Python values.

    What the host writes has nothing around it. `json.loads` would look for that with a regular expression, which makes
    the call write to as many pages of memory as all the rest of it.
    """
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    return value if end == len(text) else json.loads(text)


def _check(definition: Definition, subject: str) -> None:
    """The bounds of the contract, so that no build makes what a host refuses."""

    def holds(is_so: bool, words: str) -> None:
        if not is_so:
            raise DeclarationError(f"{subject}: {words}")

    holds(_NAME.fullmatch(definition.name) is not None, "a name has 1 to 64 of the characters A-Z a-z 0-9 _ -")
    holds(len(definition.title or "") <= _TITLE_CHARACTERS, f"its title is longer than {_TITLE_CHARACTERS} characters")
    holds(bool(definition.description), "it has no docstring; the model that chooses a tool knows no more of it")
    described = len(definition.description.encode()) <= _DESCRIPTION_BYTES
    holds(described, f"its description is longer than {_DESCRIPTION_BYTES} bytes")
    for schema in (definition.input_schema, definition.output_schema or ""):
        holds(len(schema.encode()) <= _SCHEMA_BYTES, f"a schema of it is larger than {_SCHEMA_BYTES} bytes")
    _check_requirements(definition.requirements, holds)


def _check_requirements(requirements: Iterable[Account], holds: Callable[[bool, str], None]) -> None:
    providers = [account.provider for account in requirements]
    holds(len(providers) <= _REQUIREMENTS, f"it needs more than {_REQUIREMENTS} accounts")
    for account in requirements:
        provider = account.provider
        is_name = isinstance(provider, str) and _PROVIDER.fullmatch(provider) is not None
        holds(is_name, f"the provider {provider!r} is no id: 1 to 64 of the characters a-z 0-9 _ -")
        holds(providers.count(provider) == 1, f"it needs two accounts at `{provider}`; name the scopes of both in one")
        holds(len(account.scopes) <= _SCOPES, f"it needs more than {_SCOPES} scopes at `{provider}`")
        for scope in account.scopes:
            holds(0 < len(scope.encode()) <= _SCOPE_BYTES, f"a scope has 1 to {_SCOPE_BYTES} bytes, unlike {scope!r}")
