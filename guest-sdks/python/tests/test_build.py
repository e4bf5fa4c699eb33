"""From a module to a component, by the command that an author types."""

import re
import subprocess
import sys
from pathlib import Path
from struct import unpack_from

import pytest
from conftest import Server, load

from holster_sdk import _immortal, testing

README = Path(__file__).resolve().parents[1] / "README.md"
COMPONENT_PREAMBLE = b"\0asm\x0d\0\x01\0"  # version 13 of the binary format, layer 1: a component


def build(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "holster_sdk", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def readme_example() -> str:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    [example] = [block for block in blocks if block.startswith("# tool.py\n")]
    return str(example)


def test_the_example_of_the_readme_builds_and_leaves_the_authors_folder_alone(tmp_path: Path) -> None:
    author = tmp_path / "author"
    author.mkdir()
    (author / "helper.py").write_text("")
    (author / "tool.py").write_text("import helper\n" + readme_example())
    built = build(author, "build", "tool.py", "-o", "../dist/github-stars.wasm")
    assert built.returncode == 0, built.stderr
    assert re.fullmatch(r"\.\./dist/github-stars\.wasm: \d+\.\d MiB, in \d+\.\d s\n", built.stdout)
    assert (tmp_path / "dist/github-stars.wasm").read_bytes().startswith(COMPONENT_PREAMBLE)
    assert sorted(path.name for path in author.iterdir()) == ["helper.py", "tool.py"]
    assert [path.name for path in (tmp_path / "dist").iterdir()] == ["github-stars.wasm"]
    assert_starts_in_order(bytearray((tmp_path / "dist/github-stars.wasm").read_bytes()))


def assert_starts_in_order(component: bytearray) -> None:
    """The interpreter's objects are kept for ever, so that a call does not write to their pages."""
    memory = _immortal.Memory(component)
    places = [memory.find(address, 4) for address in memory.listed()]
    counts = [unpack_from("<I", component, place)[0] for place in places if place is not None]
    assert len(counts) > 10_000
    assert min(counts) >= _immortal.LEAST_IMMORTAL


def test_a_component_without_the_list_of_objects_stays_as_it_is() -> None:
    module = b"\0asm\x01\0\0\0" + b"\x0b\x0a\x01\0\x41\x08\x0b\x04" + b"\x01\0\0\0"
    component = bytearray(COMPONENT_PREAMBLE + b"\x01" + bytes([len(module)]) + module)
    before = bytes(component)
    assert _immortal.Memory(component).find(8, 4) == len(component) - 4
    assert _immortal.make(component) == 0
    assert component == before


def test_the_example_of_the_readme_does_what_it_says(tmp_path: Path, server: Server) -> None:
    (tmp_path / "tool.py").write_text(readme_example())
    github_stars = load(tmp_path / "tool.py").github_stars
    server.answers(
        [
            {"full_name": "holster/holster", "language": "Rust", "stargazers_count": 3},
            {"full_name": "holster/page", "language": None, "stargazers_count": 0},
        ]
    )
    with testing.host(accounts={"github": testing.Account("a-token")}, settings={"base_url": server.url}):
        assert [starred.name for starred in github_stars(language="Rust")] == ["holster/holster"]
        assert testing.call(github_stars, {"limit": 2})[0].value == {  # type: ignore[union-attr]
            "result": [
                {"name": "holster/holster", "language": "Rust", "stars": 3},
                {"name": "holster/page", "stars": 0},
            ]
        }
    assert [received.path for received in server.received] == [
        "/user/starred?per_page=20",
        "/user/starred?per_page=2",
    ]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (
            'from holster_sdk import tool\n@tool\ndef f(x: bytes) -> None:\n    """F."""\n',
            "error: tool `f`, parameter `x`: `bytes` has no form in JSON; allowed are str",
        ),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_module_that_makes_no_component_is_told_why(tmp_path: Path, source: str, error: str) -> None:
    (tmp_path / "tool.py").write_text(source)
    built = build(tmp_path, "build", "tool.py", "-o", "out.wasm")
    assert built.returncode == 1
    assert error in built.stderr
    assert "backtrace" not in built.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tool.py"]


@pytest.mark.parametrize(
    ("module", "error"),
    [
        ("missing.py", "there is no file `missing.py`"),
        ("notes.txt", "`notes.txt` is no Python module"),
        ("folder", "`folder` is a folder, but no package; name the module, such as `folder/tool.py`"),
        ("my-tool.py", "`my-tool` cannot be imported under its name; rename it to `my_tool`"),
        ("json.py", "there is another module with the name `json`; rename the tool's"),
    ],
)
def test_what_is_no_module_is_refused_at_once(tmp_path: Path, module: str, error: str) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("notes.txt", "my-tool.py", "json.py"):
        (tmp_path / name).write_text("")
    built = build(tmp_path / "folder", "build", f"../{module}", "-o", "out.wasm")
    assert built.returncode == 1
    assert error.replace("`missing", "`../missing").replace("`notes", "`../notes").replace("`folder", "`../folder") in (
        built.stderr
    )


def test_the_command_line_explains_itself(tmp_path: Path) -> None:
    assert "usage: holster-sdk build" in build(tmp_path, "build", "--help").stdout
    assert "required: -o/--out" in build(tmp_path, "build", "tool.py").stderr
