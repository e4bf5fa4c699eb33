"""Settings that the operator gave to this component, by name.

They are no place for secrets: those are accounts, and come by `holster_sdk.auth`.
"""

from typing import overload

from holster_sdk import _host


@overload
def get(name: str) -> str | None: ...
@overload
def get(name: str, otherwise: str) -> str: ...
def get(name: str, otherwise: str | None = None) -> str | None:
    """The setting of this name, or `otherwise`. Raises `Unavailable` if it cannot be read."""
    value = _host.current().setting(name)
    return otherwise if value is None else value
