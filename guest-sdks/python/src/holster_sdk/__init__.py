"""Write Holster tools in Python.

A tool is a typed function with the decorator `@tool`. It asks for accounts by `auth`, for settings by `config`, and for
the world by `http`. Its `Context` reports progress and asks the person. `python -m holster_sdk build` makes a component of the module that declares it, and
`holster_sdk.testing` calls it in the author's own tests.
"""

from holster_sdk import auth, config, http, session
from holster_sdk._shapes import Param
from holster_sdk._tool import Account, tool
from holster_sdk.context import Context
from holster_sdk.errors import (
    DeclarationError,
    Failed,
    InvalidArguments,
    RateLimited,
    ToolError,
    Unauthorised,
    Unavailable,
)
from holster_sdk.output import Audio, Image, Link, Output, Resource

__all__ = [
    "Account",
    "Audio",
    "Context",
    "DeclarationError",
    "Failed",
    "Image",
    "InvalidArguments",
    "Link",
    "Output",
    "Param",
    "RateLimited",
    "Resource",
    "ToolError",
    "Unauthorised",
    "Unavailable",
    "auth",
    "config",
    "http",
    "session",
    "tool",
]
