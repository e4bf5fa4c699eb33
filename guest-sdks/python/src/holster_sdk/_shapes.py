"""What an annotation means: a JSON Schema, and how its values are read from JSON and written to it.

`of` makes a `Shape` of an annotation, once, when a tool is declared; nothing is looked up during a call. Schemas are
canonical: nested types inlined, no titles and no references, closed objects, and what is optional left out instead of
null. An annotation without a shape is a `DeclarationError` that names the place.
"""

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from holster_sdk import _docstrings
from holster_sdk.errors import DeclarationError

Schema = dict[str, Any]

ALLOWED = (
    "allowed are str, int, float, bool, Literal, Enum, list[T], dict[str, T], dataclasses, TypedDict, Any, "
    "and `| None` for what may be left out"
)

NOT_SHOWN: Any = object()
"""Stands for a default that the schema does not say, or for none."""


class Mismatch(ValueError):
    """A value does not have the shape that was declared."""


@dataclass(frozen=True)
class Param:
    """What a parameter or a field means, and its bounds: `Annotated[int, Param("How many.", minimum=1)]`.

    `min_length` and `max_length` count the characters of a text, or the items of a list.
    """

    description: str | None = None
    _: dataclasses.KW_ONLY
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True)
class Shape:
    """The meaning of an annotation. `read` and `write` take a value and the place where it stands."""

    schema: Schema
    read: Callable[[Any, str], Any]
    write: Callable[[Any, str], Any]
    may_be_none: bool = False

    @property
    def is_object(self) -> bool:
        return self.schema.get("type") == "object"


@dataclass(frozen=True)
class Member:
    """A parameter, or a field of an object."""

    name: str
    shape: Shape
    has_default: bool = False
    """Whether Python has a value for it, so that it may be left out."""
    default: Any = NOT_SHOWN
    """That value, as JSON, where the schema says it."""
    description: str | None = None

    @property
    def is_required(self) -> bool:
        return not self.has_default and not self.shape.may_be_none

    @property
    def schema(self) -> Schema:
        schema = dict(self.shape.schema)
        if self.description is not None:
            schema.setdefault("description", self.description)
        if self.default is not NOT_SHOWN:
            schema["default"] = self.default
        return schema


def of(annotation: Any, place: str, *, around: tuple[type, ...] = ()) -> Shape:
    """The shape of an annotation. `place` names it in errors; `around` are the types that it stands in."""
    annotation = _without_alias(annotation)
    if isinstance(annotation, type) and annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(of(arguments[0], place, around=around), arguments[1:], place)
    if origin in (Union, types.UnionType):
        return _optional(arguments, place, around)
    if origin is Literal:
        return _choice({name: name for name in arguments}, place)
    if annotation is list or origin is list:
        return _list_of(_inner(arguments[0] if arguments else Any, f"{place}, in its list", around))
    if annotation is dict or origin is dict:
        key, value = arguments or (str, Any)
        if key is not str:
            raise DeclarationError(f"{place}: the keys of a JSON object are texts; write `dict[str, …]`")
        return _map_of(_inner(value, f"{place}, in its dict", around))
    if isinstance(annotation, type):
        if annotation in around:
            raise DeclarationError(f"{place}: `{annotation.__name__}` contains itself, which no tool's schema can say")
        if issubclass(annotation, enum.Enum):
            return _enumeration(annotation, place)
        if dataclasses.is_dataclass(annotation):
            return _dataclass(annotation, place, (*around, annotation))
        if typing.is_typeddict(annotation):
            return _typed_dict(annotation, place, (*around, annotation))
    raise DeclarationError(f"{place}: `{_shown(annotation)}` has no form in JSON; {ALLOWED}")


def hints(thing: Any, place: str) -> dict[str, Any]:
    """The annotations of a function or a class, where they were written as text evaluated."""
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except NameError as error:
        raise DeclarationError(f"{place}: an annotation cannot be understood: {error}") from error


def default_of(value: Any, shape: Shape, place: str) -> Any:
    """A default, as JSON; nothing where it is `None`, which a schema says by leaving it out of `required`."""
    if value is None:
        if not shape.may_be_none:
            raise DeclarationError(f"{place}: its default is None, so its annotation needs `| None`")
        return NOT_SHOWN
    try:
        default = shape.write(value, "the default")
    except Mismatch as error:
        raise DeclarationError(f"{place}: {error}") from None
    low, high = shape.schema.get("minimum", -math.inf), shape.schema.get("maximum", math.inf)
    if isinstance(default, int | float) and not low <= default <= high:
        raise DeclarationError(f"{place}: the default {default} is not within {low} and {high}")
    return default


def object_schema(members: Iterable[Member]) -> Schema:
    """The schema of a closed object with these members."""
    members = list(members)
    schema: Schema = {"type": "object", "properties": {member.name: member.schema for member in members}}
    if required := [member.name for member in members if member.is_required]:
        schema["required"] = required
    schema["additionalProperties"] = False
    return schema


def read_members(members: Mapping[str, Member], value: Any, place: str) -> dict[str, Any]:
    """The members of a JSON object as Python values; what Python has a default for stays away if it was left out."""
    _expect(isinstance(value, dict), value, "an object", place)
    read = {}
    for name, inner in value.items():
        member = members.get(name)
        if member is None:
            raise Mismatch(f"there is no `{_within(place, name)}`")
        read[name] = member.shape.read(inner, _within(place, name))
    for name, member in members.items():
        if name in read or member.has_default:
            continue
        if member.is_required:
            raise Mismatch(f"`{_within(place, name)}` is missing")
        read[name] = None
    return read


def write_members(members: Mapping[str, Member], values: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A JSON object of these members; what is None is left out."""
    written = {}
    for name, member in members.items():
        value = values.get(name)
        if value is not None:
            written[name] = member.shape.write(value, _within(place, name))
        elif member.is_required:
            raise Mismatch(f"`{_within(place, name)}` is missing")
    return written


def _scalar(schema: Schema, accepts: Callable[[Any], bool], convert: Callable[[Any], Any], words: str) -> Shape:
    def checked(value: Any, place: str) -> Any:
        _expect(accepts(value), value, words, place)
        return convert(value)

    return Shape(schema, read=checked, write=checked)


def _is_whole(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _as_is(value: Any, _: str = "") -> Any:
    return value


_SCALARS: dict[Any, Shape] = {
    str: _scalar({"type": "string"}, lambda value: isinstance(value, str), _as_is, "a text"),
    int: _scalar({"type": "integer"}, _is_whole, int, "an integer"),
    float: _scalar({"type": "number"}, _is_number, float, "a finite number"),
    bool: _scalar({"type": "boolean"}, lambda value: isinstance(value, bool), _as_is, "true or false"),
    Any: Shape({}, read=_as_is, write=_as_is),
}


def _annotated(shape: Shape, metadata: tuple[Any, ...], place: str) -> Shape:
    for param in metadata:
        if isinstance(param, Param):
            shape = replace(shape, schema=shape.schema | _keywords(param, shape.schema, place))
    return shape


def _keywords(param: Param, schema: Schema, place: str) -> Schema:
    kind = schema.get("type")
    length = {"string": "Length", "array": "Items"}.get(str(kind))
    keywords: Schema = {"description": param.description}
    if kind in ("integer", "number"):
        keywords |= {"minimum": param.minimum, "maximum": param.maximum}
    elif not (param.minimum is None and param.maximum is None):
        raise DeclarationError(f"{place}: `minimum` and `maximum` are for numbers")
    if length:
        keywords |= {f"min{length}": param.min_length, f"max{length}": param.max_length}
    elif not (param.min_length is None and param.max_length is None):
        raise DeclarationError(f"{place}: `min_length` and `max_length` are for texts and lists")
    return {name: value for name, value in keywords.items() if value is not None}


def _optional(arguments: tuple[Any, ...], place: str, around: tuple[type, ...]) -> Shape:
    cases = [argument for argument in arguments if argument is not type(None)]
    if len(cases) != 1 or len(cases) == len(arguments):
        raise DeclarationError(f"{place}: it can be one of several types, which models get wrong; {ALLOWED}")
    inner = of(cases[0], place, around=around)

    def read(value: Any, where: str) -> Any:
        return None if value is None else inner.read(value, where)

    def write(value: Any, where: str) -> Any:
        return None if value is None else inner.write(value, where)

    return Shape(inner.schema, read, write, may_be_none=True)


def _inner(annotation: Any, place: str, around: tuple[type, ...]) -> Shape:
    shape = of(annotation, place, around=around)
    if shape.may_be_none:
        raise DeclarationError(f"{place}: `| None` is for parameters and fields, which may be left out")
    return shape


def _choice(values: dict[Any, Any], place: str) -> Shape:
    """One of several JSON values, each of which stands for a Python value."""
    kinds = {type(value) for value in values}
    if kinds not in ({str}, {int}):
        raise DeclarationError(f"{place}: its values are neither all texts nor all integers")
    names = {value: name for name, value in values.items()}
    words = "one of " + ", ".join(map(str, values))

    def read(value: Any, where: str) -> Any:
        _expect(isinstance(value, str | int) and value in values, value, words, where)
        return values[value]

    def write(value: Any, where: str) -> Any:
        _expect(value in names, value, words, where)
        return names[value]

    kind = "string" if kinds == {str} else "integer"
    return Shape({"type": kind, "enum": list(values)}, read, write)


def _enumeration(cls: type[enum.Enum], place: str) -> Shape:
    """By their values, where those are texts; by their names otherwise."""
    by_value = all(isinstance(member.value, str) for member in cls)
    return _choice({str(member.value) if by_value else member.name: member for member in cls}, place)


def _list_of(item: Shape) -> Shape:
    def read(value: Any, where: str) -> list[Any]:
        _expect(isinstance(value, list), value, "a list", where)
        return [item.read(inner, f"{where}[{index}]") for index, inner in enumerate(value)]

    def write(value: Any, where: str) -> list[Any]:
        _expect(isinstance(value, list | tuple), value, "a list", where)
        return [item.write(inner, f"{where}[{index}]") for index, inner in enumerate(value)]

    return Shape({"type": "array", "items": item.schema or True}, read, write)


def _map_of(item: Shape) -> Shape:
    def each(convert: Callable[[Any, str], Any]) -> Callable[[Any, str], dict[str, Any]]:
        def converted(value: Any, where: str) -> dict[str, Any]:
            _expect(isinstance(value, dict), value, "an object", where)
            return {name: convert(inner, _within(where, name)) for name, inner in value.items()}

        return converted

    schema = {"type": "object", "additionalProperties": item.schema or True}
    return Shape(schema, read=each(item.read), write=each(item.write))


def _dataclass(cls: type, place: str, around: tuple[type, ...]) -> Shape:
    annotations = hints(cls, place)
    fields = dataclasses.fields(cls)
    texts = _docstrings.parse(cls.__doc__, [field.name for field in fields]).parameters
    members = {}
    for field in fields:
        where = f"{place}, field `{field.name}` of `{cls.__name__}`"
        if not field.init:
            raise DeclarationError(f"{where}: what is not set on creation (`init=False`) cannot be described")
        shape = of(annotations[field.name], where, around=around)
        has_value = field.default is not dataclasses.MISSING
        members[field.name] = Member(
            field.name,
            shape,
            has_default=has_value or field.default_factory is not dataclasses.MISSING,
            default=default_of(field.default, shape, where) if has_value else NOT_SHOWN,
            description=texts.get(field.name),
        )

    def read(value: Any, where: str) -> Any:
        given = read_members(members, value, where)
        try:
            return cls(**given)
        except ValueError as error:  # what `__post_init__` does not accept
            raise Mismatch(f"`{where}`: {error}") from error

    def write(value: Any, where: str) -> dict[str, Any]:
        _expect(isinstance(value, cls), value, f"a {cls.__name__}", where)
        return write_members(members, vars_of(value), where)

    return Shape(object_schema(members.values()), read, write)


def vars_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, with `__slots__` or without."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _typed_dict(cls: Any, place: str, around: tuple[type, ...]) -> Shape:
    texts = _docstrings.parse(cls.__doc__, list(cls.__annotations__)).parameters
    members = {}
    for name, annotation in hints(cls, place).items():
        is_required = name in cls.__required_keys__
        while get_origin(annotation) in (typing.Required, typing.NotRequired):
            is_required = get_origin(annotation) is typing.Required
            annotation = get_args(annotation)[0]
        shape = of(annotation, f"{place}, field `{name}` of `{cls.__name__}`", around=around)
        members[name] = Member(name, shape, has_default=not is_required, description=texts.get(name))

    def read(value: Any, where: str) -> dict[str, Any]:
        return read_members(members, value, where)

    def write(value: Any, where: str) -> dict[str, Any]:
        _expect(isinstance(value, dict), value, f"a {cls.__name__}", where)
        if unknown := value.keys() - members.keys():
            raise Mismatch(f"there is no `{_within(where, min(unknown, key=str))}` in `{cls.__name__}`")
        return write_members(members, value, where)

    return Shape(object_schema(members.values()), read, write)


def _without_alias(annotation: Any) -> Any:
    # `type X = …` is known from Python 3.12 on.
    while type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    return annotation


def _expect(is_so: bool, value: Any, words: str, place: str) -> None:
    if not is_so:
        raise Mismatch(f"`{place}` is {_kind(value)}, not {words}")


def _kind(value: Any) -> str:
    """What a value is, in the words of JSON; never the value itself, which nobody may want to see."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return f"of type {type(value).__name__}"


def _within(place: str, name: Any) -> str:
    return f"{place}.{name}" if place else str(name)


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
