"""Reads and writes files as any Python program does."""

from pathlib import Path

from holster_sdk import Failed, tool


@tool(read_only=True)
def read_report(path: str) -> str:
    """Reads a file.

    path(str): Where it is.
    """
    try:
        return Path(path).read_text()
    except OSError as error:
        raise Failed(f"{type(error).__name__}: {error.strerror}") from error


@tool
def write_report(path: str, text: str) -> str:
    """Writes a file, and says what is beside it.

    Args:
        path: Where it is.
        text: What it says.
    """
    file = Path(path)
    try:
        file.write_text(text)
    except OSError as error:
        raise Failed(f"{type(error).__name__}: {error.strerror}") from error
    return " ".join(sorted(entry.name for entry in file.parent.iterdir()))
