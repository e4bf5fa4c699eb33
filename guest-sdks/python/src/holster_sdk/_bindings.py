"""The bindings of a component: the only module that knows how the contract looks in Python.

It can be imported in a component only, where the builder puts `wit_world`. `component` gives the class by which the
host calls the tools; `_ComponentHost` is how the tools reach the host.
"""

import importlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, get_args

from componentize_py_types import Err
from wit_world.exports import tool as contract
from wit_world.imports import auth as wit_auth
from wit_world.imports import outgoing_handler, store, streams
from wit_world.imports import session as wit_session
from wit_world.imports import wasi_http_types as wit_http

from holster_sdk import _answers, _host, _image, _tool, auth, errors, http, session
from holster_sdk.context import Context, instant
from holster_sdk.output import Audio, Image, Link, Piece, Resource, Structured

_WRITE_SIZE = 4096  # the most that one `blocking-write-and-flush` takes, by the documentation of `wasi:io`
_READ_SIZE = 64 << 10
_LONGEST_TIMEOUT = 2**64 - 1


def component(module: str) -> type:
    """The class that a component exports for the tools of an author's module.

    The memory of the interpreter after this is what each call starts from.
    """
    author = importlib.import_module(module)
    tools = _answers.Tools(_tool.registered)
    rehearse = _rehearsal()
    exported = _exported(tools, rehearse)
    _host.use(_ComponentHost())
    _image.settle_at_the_end(rehearse, [tool.function for tool in tools], vars(author))
    return exported


def _exported(tools: _answers.Tools, warm_up: Callable[[], None]) -> type:
    definitions = [_definition(tool.definition) for tool in tools]

    class Tool:
        def list_tools(self) -> list[Any]:
            # The host asks for this while an instance waits: what its call would write to first is written to now.
            warm_up()
            return definitions

        def call(self, name: str, arguments: str, context: Any) -> Any:
            try:
                pieces = tools.call(name, arguments, lambda: _context(context))
                return contract.ToolOutput([_content(piece) for piece in pieces])
            except errors.ToolError as error:
                raise Err(_error(error)) from None

    return Tool


@dataclass
class _Note:
    text: str
    size: float
    kind: Literal["one", "two"]
    other: str | None = None
    notes: int = 0


def _rehearsal() -> Callable[[], None]:
    """Calls of tools that nobody sees."""

    def say(text: str, number: int = 0, *, context: Context) -> str:
        """Says."""
        return f"{text} {number} {context.profile}"

    def count(texts: list[str], size: float | None = None) -> dict[str, Any]:
        """Counts."""
        return {"texts": texts, "size": size}

    def copy(note: _Note, notes: list[_Note], marks: dict[str, bool]) -> _Note:
        """Copies."""
        return _Note(note.text, note.size, note.kind, notes=len(notes))

    tools = [_tool.declared(function, function.__name__) for function in (say, count, copy)]
    exported = _exported(_answers.Tools(tools), lambda: None)()
    context = contract.CallContext("rehearsal", "rehearsal", 0)

    def rehearse() -> None:
        exported.call("say", '{"text":"ready","number":7}', context)
        exported.call("count", '{"texts":["one","two"]}', context)
        note = '{"text":"ready","size":0.5,"kind":"one"}'
        exported.call("copy", f'{{"note":{note},"notes":[{note}],"marks":{{"read":true}}}}', context)

    return rehearse


def _definition(definition: _tool.Definition) -> Any:
    behaviour = definition.behaviour
    return contract.ToolDefinition(
        name=definition.name,
        title=definition.title,
        description=definition.description,
        input_schema=definition.input_schema,
        output_schema=definition.output_schema,
        requirements=[contract.Requirement(needed.provider, list(needed.scopes)) for needed in definition.requirements],
        behaviour=contract.Behaviour(
            behaviour.read_only, behaviour.destructive, behaviour.idempotent, behaviour.open_world
        ),
    )


def _context(context: Any) -> Context:
    return Context(context.thread, context.profile, instant(context.deadline / 1000))


def _content(piece: Piece) -> Any:
    match piece:
        case str():
            return contract.Content_Text(_text(piece))
        case Structured(text):
            return contract.Content_Structured(_text(text))
        case Image(data, mime_type):
            return contract.Content_Image(contract.Media(data, _text(mime_type)))
        case Audio(data, mime_type):
            return contract.Content_Audio(contract.Media(data, _text(mime_type)))
        case Link(uri, name, description, mime_type):
            link = contract.ResourceLink(_text(uri), _text(name), _maybe_text(description), _maybe_text(mime_type))
            return contract.Content_ResourceLink(link)
        case Resource(uri, contents, mime_type):
            return contract.Content_EmbeddedResource(
                contract.EmbeddedResource(_text(uri), _maybe_text(mime_type), _contents(contents))
            )


def _contents(contents: str | bytes) -> Any:
    if isinstance(contents, str):
        return contract.ResourceContents_Text(_text(contents))
    return contract.ResourceContents_Blob(contents)


def _error(error: errors.ToolError) -> Any:
    match error:
        case errors.InvalidArguments():
            return contract.ToolError_InvalidArguments(_text(str(error)))
        case errors.Unauthorised():
            return contract.ToolError_Unauthorised(_text(error.provider))
        case errors.RateLimited():
            return contract.ToolError_RateLimited(error.retry_after)
        case errors.Unavailable():
            return contract.ToolError_Unavailable(_text(str(error)))
    return contract.ToolError_Failed(_text(str(error)))


def _text(text: str) -> str:
    """Half a surrogate pair, which JSON can bring in, is no text in the contract."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _maybe_text(text: str | None) -> str | None:
    return None if text is None else _text(text)


class _ComponentHost:
    def credential(self, provider: str) -> _host.Handle:
        try:
            return _ComponentHandle(wit_auth.get(provider))
        except Err as error:
            raise _auth_error(error.value) from None

    def setting(self, name: str) -> str | None:
        try:
            value: str | None = store.get(name)
            return value
        except Err as error:
            raise errors.Unavailable(f"the setting `{name}` cannot be read: {error.value.value}") from None

    def send(self, request: _host.Request) -> _host.Reply:
        outgoing = _outgoing(request)
        host = request.authority
        try:
            body = outgoing.body() if request.body else None
            future = outgoing_handler.handle(outgoing, _options(request.timeout))
            if body is not None:
                _write(host, body, request.body or b"")
            with future, _wait(future) as response:
                status = response.status()
                with response.headers() as fields:
                    headers = fields.entries()
                return _host.Reply(status, headers, _read(host, response, request.body_limit))
        except Err as error:
            raise _http_error(host, error.value) from None

    def log(self, level: session.Level, message: str) -> None:
        if level not in get_args(session.Level):
            raise ValueError(f"there is no level {level!r}; there are {', '.join(get_args(session.Level))}")
        wit_session.log(wit_session.Level[level.upper()], _text(message))

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        wit_session.progress(done, total, _maybe_text(message))

    def ask(self, message: str, schema: str) -> session.Answer[str]:
        try:
            answer = wit_session.ask(_text(message), _text(schema))
        except Err as error:
            raise _ask_error(error.value) from None
        match answer:
            case wit_session.Answer_Accept():
                return session.Answer("accept", answer.value)
            case wit_session.Answer_Decline():
                return session.Answer("decline")
        return session.Answer("cancel")


def _ask_error(error: Any) -> session.AskError:
    match error:
        case wit_session.AskError_Unsupported():
            return session.Unsupported(error.value)
        case wit_session.AskError_Invalid():
            return session.Invalid(error.value)
        case wit_session.AskError_TooMany():
            return session.TooMany(error.value)
    return session.Unanswered(error.value)


class _ComponentHandle:
    def __init__(self, credential: Any) -> None:
        self.provider = credential.provider
        self.profile = credential.profile
        self.account = credential.account
        self.scopes = credential.scopes
        self.expires_at = credential.expires_at
        self.token = credential.token
        self._credential = credential

    def header(self) -> tuple[str, str]:
        header = self._credential.header()
        return header.name, header.value

    def sign(self, algorithm: str, payload: bytes) -> bytes:
        known = {"hmac-sha256": wit_auth.SignAlgorithm.HMAC_SHA256, "hmac-sha512": wit_auth.SignAlgorithm.HMAC_SHA512}
        if algorithm not in known:
            raise ValueError(f"there is no algorithm {algorithm!r}; there are {', '.join(known)}")
        try:
            signature: bytes = self._credential.sign(known[algorithm], payload)
            return signature
        except Err as error:
            raise _auth_error(error.value) from None


def _auth_error(error: Any) -> auth.AuthError:
    match error:
        case wit_auth.AuthError_NotDeclared():
            return auth.NotDeclared(error.value)
        case wit_auth.AuthError_Unavailable():
            return auth.Unavailable(error.value)
    return auth.Unsupported(error.value)


_METHODS = {
    "GET": wit_http.Method_Get,
    "HEAD": wit_http.Method_Head,
    "POST": wit_http.Method_Post,
    "PUT": wit_http.Method_Put,
    "PATCH": wit_http.Method_Patch,
    "DELETE": wit_http.Method_Delete,
    "OPTIONS": wit_http.Method_Options,
}


def _outgoing(request: _host.Request) -> Any:
    fields = wit_http.Fields()
    for name, value in request.headers:
        try:
            fields.append(name, value.encode("latin-1"))
        except Err:
            raise http.InvalidRequest(
                f"the header `{name}` cannot be sent: it is reserved, or its name or value has a forbidden character"
            ) from None
    outgoing = wit_http.OutgoingRequest(fields)
    method = _METHODS.get(request.method)
    try:
        outgoing.set_method(method() if method else wit_http.Method_Other(request.method))
        outgoing.set_scheme(wit_http.Scheme_Https() if request.scheme == "https" else wit_http.Scheme_Http())
        outgoing.set_authority(request.authority)
        outgoing.set_path_with_query(request.path_with_query)
    except Err:
        why = "its host, path or method has a character that is not allowed there"
        raise http.InvalidRequest(f"`{request.authority}` is no URL for a request: {why}") from None
    return outgoing


def _options(timeout: float | None) -> Any:
    if timeout is None:
        return None
    options = wit_http.RequestOptions()
    nanoseconds = min(int(timeout * 1e9), _LONGEST_TIMEOUT)
    for set_timeout in (
        options.set_connect_timeout,
        options.set_first_byte_timeout,
        options.set_between_bytes_timeout,
    ):
        with suppress(Err):  # a host that has no such timeout still has the deadline of the call
            set_timeout(nanoseconds)
    return options


def _write(host: str, body: Any, data: bytes) -> None:
    with body.write() as stream:
        for start in range(0, len(data), _WRITE_SIZE):
            try:
                stream.blocking_write_and_flush(data[start : start + _WRITE_SIZE])
            except Err as error:
                # The server may answer before it has read everything; the answer then says why.
                if isinstance(error.value, streams.StreamError_Closed):
                    return
                raise http.Unreachable(host, "the request could not be sent whole") from None
    wit_http.OutgoingBody.finish(body, None)


def _wait(future: Any) -> Any:
    while (outcome := future.get()) is None:
        with future.subscribe() as pollable:
            pollable.block()
    # Once, because it was not asked for before: the outer result is no error.
    if isinstance(outcome.value, Err):
        raise outcome.value
    return outcome.value.value


def _read(host: str, response: Any, limit: int) -> bytes:
    data = bytearray()
    with response.consume() as body, body.stream() as stream:
        while True:
            try:
                data += stream.blocking_read(_READ_SIZE)
            except Err as error:
                if isinstance(error.value, streams.StreamError_Closed):
                    return bytes(data)
                why = error.value.value.to_debug_string()
                raise http.Unreachable(host, f"the answer broke off ({why})") from None
            if len(data) > limit:
                raise http.TooLarge(host, limit)


_TIMEOUTS = (
    wit_http.ErrorCode_DnsTimeout,
    wit_http.ErrorCode_ConnectionTimeout,
    wit_http.ErrorCode_ConnectionReadTimeout,
    wit_http.ErrorCode_ConnectionWriteTimeout,
    wit_http.ErrorCode_HttpResponseTimeout,
)


def _http_error(host: str, code: Any) -> errors.ToolError:
    match code:
        case wit_http.ErrorCode_HttpRequestDenied() | wit_http.ErrorCode_DestinationIpProhibited():
            return http.Refused(host)
        case wit_http.ErrorCode_HttpRequestUriInvalid() | wit_http.ErrorCode_HttpRequestMethodInvalid():
            return http.InvalidRequest(f"`{host}` is no URL for a request: the host does not accept it")
        case wit_http.ErrorCode_DnsError() | wit_http.ErrorCode_DestinationNotFound():
            return http.Unreachable(host, "its name is not known")
        case wit_http.ErrorCode_ConnectionRefused():
            return http.Unreachable(host, "it refuses connections")
        case wit_http.ErrorCode_InternalError() if code.value:
            return http.Unreachable(host, code.value)
    if isinstance(code, _TIMEOUTS):
        return http.Timeout(host)
    return http.Unreachable(host, type(code).__name__.removeprefix("ErrorCode_"))
