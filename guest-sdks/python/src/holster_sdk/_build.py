"""From an author's module to a component: the module, the SDK and the contract, put into a Python interpreter.

The interpreter runs the module once while the component is built, and the component starts from the memory that this
left. So what a module does at its top costs nothing at a call. Nothing is written into the author's folder.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from holster_sdk import _immortal

_WORLD = "plugin"
_ENTRY = "holster_component"
_RESERVED = {_ENTRY, "holster_sdk", "wit_world", "componentize_py_types", "componentize_py_runtime"}
# No bytecode, as it would lie beside the author's sources.
_ENTRY_SOURCE = """\
import sys

sys.dont_write_bytecode = True

from holster_sdk import _bindings

Tool = _bindings.component({module!r})
"""


class BuildError(Exception):
    """A build that failed for a reason that its author can mend."""


@dataclass(frozen=True)
class Module:
    """An author's module, or package: its name, and the folder that it is imported from."""

    name: str
    folder: Path


def build(source: Path, out: Path) -> int:
    """Builds a module into the component `out`, and gives its size in bytes. Raises `BuildError`."""
    module = _module(source)
    if find_spec("componentize_py") is None:
        raise BuildError("componentize-py is not installed here; run `pip install componentize-py`")
    contract = contract_folder()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="holster-sdk-", dir=out.parent) as scratch:
            entry = Path(scratch, "app")
            entry.mkdir()
            (entry / f"{_ENTRY}.py").write_text(_ENTRY_SOURCE.format(module=module.name), encoding="utf-8")
            unfinished = Path(scratch, "component.wasm")
            _componentize(contract, [entry, module.folder, *_import_folders()], unfinished)
            component = bytearray(unfinished.read_bytes())
            _immortal.make(component)
            unfinished.write_bytes(component)
            unfinished.replace(out)
            return len(component)
    except OSError as error:
        raise BuildError(f"`{out}` cannot be written: {error.strerror or error}") from error


def contract_folder() -> Path:
    """The WIT package: in an installed SDK its copy, in a checkout the one and only."""
    package = Path(__file__).resolve().parent
    candidates = [package / "wit", *(parent / "wit" for parent in package.parents[3:4])]
    for folder in candidates:
        if (folder / "world.wit").is_file():
            return folder
    raise BuildError("the SDK has lost its copy of the contract; install holster-sdk anew")


def _module(source: Path) -> Module:
    path = source.resolve()
    if path.is_dir():
        if not (path / "__init__.py").is_file():
            raise BuildError(f"`{source}` is a folder, but no package; name the module, such as `{source / 'tool.py'}`")
    elif not path.is_file():
        raise BuildError(f"there is no file `{source}`")
    elif path.suffix != ".py":
        raise BuildError(f"`{source}` is no Python module; its name does not end in `.py`")
    name = path.stem if path.is_file() else path.name
    if not name.isidentifier():
        better = re.sub(r"\W", "_", name)
        raise BuildError(f"`{name}` cannot be imported under its name; rename it to `{better}`")
    if name in _RESERVED or name in sys.stdlib_module_names:
        raise BuildError(f"there is another module with the name `{name}`; rename the tool's")
    return Module(name, path.parent)


def _import_folders() -> list[Path]:
    """What can be imported here can be imported in the component, if it is Python alone."""
    paths = sysconfig.get_paths()
    standard = {Path(paths["stdlib"]), Path(paths["platstdlib"]), Path(paths["platstdlib"], "lib-dynload")}
    here = Path.cwd()
    folders = [Path(__file__).resolve().parent.parent]
    for entry in sys.path:
        folder = Path(entry).resolve()
        if entry and folder.is_dir() and folder not in standard and folder != here and folder not in folders:
            folders.append(folder)
    return folders


def _componentize(contract: Path, folders: list[Path], out: Path) -> None:
    command = [sys.executable, "-c", "import componentize_py; componentize_py.script()"]
    command += ["--wit-path", str(contract), "--world", _WORLD, "--quiet", "componentize"]
    for folder in folders:
        command += ["--python-path", str(folder)]
    command += ["--output", str(out), _ENTRY]
    environment = {**os.environ, "RUST_BACKTRACE": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    if run.returncode != 0:
        raise BuildError(_why(run.stderr or run.stdout))


def _why(output: str) -> str:
    """The builder's words, less what speaks of the builder itself."""
    declared = re.search(r"^(?:\w+\.)*DeclarationError: (.+?)(?:\n\n|\Z)", output, re.MULTILINE | re.DOTALL)
    if declared:
        return declared[1].strip()
    start = output.rfind("AssertionError: Traceback")
    if start >= 0:
        trace = output[start:].removeprefix("AssertionError: ").split("\n\nCaused by:")[0].rstrip()
        return f"the module cannot be imported in a component\n\n{trace}"
    return f"componentize-py failed\n\n{output.strip()}"
