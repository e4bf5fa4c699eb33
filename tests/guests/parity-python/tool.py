"""The Python side of "one tool, three languages": its answers must equal those of its siblings word for word."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal, NoReturn

from holster_sdk import (
    Account,
    Context,
    Failed,
    InvalidArguments,
    Param,
    RateLimited,
    Unauthorised,
    Unavailable,
    auth,
    config,
    http,
    session,
    tool,
)


@dataclass
class Author:
    name: Annotated[str, Param("Who wrote it.")]
    email: Annotated[str | None, Param("Where to reach them.")]


@dataclass
class Report:
    summary: Annotated[str, Param("One line.")]
    total: Annotated[float, Param("count times ratio.")]
    tags: Annotated[list[str], Param("The words, sorted.")]
    author: Annotated[str, Param("The author's name.")]
    note: Annotated[str | None, Param("The note, if there was one.")]


@tool(read_only=True, idempotent=True, open_world=False)
def report(
    *,
    title: str,
    count: Annotated[int, Param(minimum=1, maximum=100)] = 10,
    ratio: float,
    urgent: bool = False,
    level: Literal["low", "medium", "high"],
    tags: list[str],
    author: Author,
    note: str | None,
) -> Report:
    """Writes a short report.

    Args:
        title: What the report is about.
        count: How many items it covers.
        ratio: A share between nought and one.
        urgent: Whether it cannot wait.
        level: How much detail.
        tags: Words to file it under.
        author: The author.
        note: Anything else.
    """
    urgency = "!" if urgent else ""
    email = f" <{author.email}>" if author.email is not None else ""
    return Report(
        summary=f"{title} [{level}]{urgency} by {author.name}{email}",
        total=count * ratio,
        tags=sorted(tags),
        author=author.name,
        note=note,
    )


FAILURES = {
    "invalid-arguments": InvalidArguments("as asked"),
    "unauthorised": Unauthorised("slack"),
    "rate-limited": RateLimited(7),
    "unavailable": Unavailable("as asked"),
    "failed": Failed("as asked"),
}


@tool
def fail(kind: Literal["invalid-arguments", "unauthorised", "rate-limited", "unavailable", "failed"]) -> None:
    """Fails in the way that it is asked to.

    kind(str): The error to answer with.
    """
    raise FAILURES[kind]


@dataclass
class AccountGiven:
    provider: Annotated[str, Param("The provider.")]
    profile: Annotated[str, Param("The profile.")]
    account: Annotated[str | None, Param("The account's label.")]
    scopes: Annotated[list[str], Param("The scopes granted.")]
    expires: Annotated[bool, Param("Whether it expires.")]
    undeclared: Annotated[str, Param("What asking for another provider says.")]
    signature: Annotated[str, Param("What signing says.")]


@tool(auth=[Account("slack", scopes=["channels:history", "channels:read"])])
def account() -> AccountGiven:
    """Says which account it was given."""
    credential = auth.get("slack")
    return AccountGiven(
        provider=credential.provider,
        profile=credential.profile,
        account=credential.account,
        scopes=credential.scopes,
        expires=credential.expires_at is not None,
        undeclared=undeclared(),
        signature=signature(credential),
    )


def undeclared() -> str:
    try:
        auth.get("github")
    except auth.AuthError as error:
        return f"{error.reason}: {error.detail}"
    return "granted"


def signature(credential: auth.Credential) -> str:
    try:
        return credential.sign("hmac-sha256", "payload").hex()
    except auth.Unsupported as error:
        return error.reason


@dataclass
class Caller:
    status: Annotated[int, Param("The HTTP status.", minimum=0)]
    user: Annotated[str | None, Param("Who the API says it is.")] = None


@tool(auth="slack", scopes=["channels:read"])
def fetch() -> Caller:
    """Asks the API who is calling."""
    base_url = config.get("base_url", "https://slack.com/api")
    response = http.get(f"{base_url}/auth.test", auth=auth.get("slack"))
    match response.status:
        case 200:
            return Caller(200, response.json().get("user"))
        case 401:
            raise Unauthorised("slack")
        case status:
            return Caller(status)


@dataclass
class Visit:
    name: Annotated[str, Param("Who comes.")]
    guests: Annotated[int | None, Param("How many they are.", minimum=0)]
    meal: Annotated[Literal["fish", "greens"], Param("What they eat.")]


@dataclass
class Invitation:
    ended: Annotated[str, Param("How it ended.")]
    who: Annotated[str | None, Param("Who comes, and to what.")] = None


@tool
def invite(context: Context) -> Invitation:
    """Asks who comes to dinner."""
    context.log("info", "it begins: é€😀")
    context.progress(1, 2.5, "asking")
    try:
        answer = context.ask("Who comes to dinner?", Visit)
    except session.Unsupported as error:
        return Invitation(error.reason)
    finally:
        context.progress(2)
        context.log("warning", "it ends")
    if answer.content is None:
        return Invitation(answer.action)
    visit = answer.content
    guests = "nobody" if visit.guests is None else visit.guests
    return Invitation(answer.action, f"{visit.name} with {guests} for {visit.meal}")


@tool
def misuse(kind: Literal["spin", "allocate", "recurse", "print", "trap", "large", "remember"]) -> str:
    """Uses up what a call may use.

    kind(str): What to use up.
    """
    match kind:
        case "spin":
            spin()
        case "allocate":
            allocate()
        case "recurse":
            recurse(0)
        case "print":
            print_on()
        case "trap":
            os.abort()
        case "large":
            return "x" * 100_000_000
        case "remember":
            return remember()
    return "done"


CALLS = 0
KEPT = []


def remember() -> str:
    """How many calls the instance has served, and how many bytes of memory that is new to it somebody has used."""
    global CALLS
    CALLS += 1
    memory = bytearray(16 << 20)
    used = len(memory) - memory.count(0)
    KEPT.append(memory.replace(b"\x00", b"\xa5"))
    return f"{CALLS} {used}"


def spin() -> NoReturn:
    while True:
        pass


def allocate() -> NoReturn:
    kept = []
    while True:
        kept.append(b"\x01" * (1 << 20))


def recurse(depth: int) -> int:
    return recurse(depth + 1) + depth


def print_on() -> NoReturn:
    while True:
        print("a line that nobody asked for")
