"""The page about frameworks shows what the tests run."""

import json
import re

from installation import EXAMPLES as FOLDER
from installation import HERE
from test_frameworks import EXAMPLES

PAGE = (FOLDER.parent / "frameworks.md").read_text()


def test_every_example_is_run_and_on_the_page():
    files = {file.name for file in FOLDER.iterdir() if file.is_file()}
    assert files == EXAMPLES.keys()
    assert set(re.findall(r"\]\(examples/([\w.]+)\)", PAGE)) == files


def test_the_code_on_the_page_is_in_an_example():
    examples = [(FOLDER / name).read_text() for name in EXAMPLES]
    blocks = re.findall(r"```(?:python|js)\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 8
    for block in blocks:
        assert any(block in example for example in examples), block


def test_the_versions_on_the_page_are_those_that_are_installed():
    pins = json.loads((HERE / "package.json").read_text())["dependencies"]
    for file in (HERE / "requirements").iterdir():
        # What is pinned first is what the examples import.
        imported, _ = file.read_text().split("\n\n")
        pins |= dict(re.findall(r"^([\w-]+)==(\S+)$", imported, re.MULTILINE))
    named = re.findall(r"`([\w@/-]+)` (\d+\.\d+\.\d+)", PAGE)
    assert len(named) >= 10
    assert {name: pins.get(name) for name, _ in named} == dict(named)
