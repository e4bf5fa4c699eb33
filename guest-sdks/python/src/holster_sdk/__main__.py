"""`holster-sdk build MODULE -o COMPONENT`, also as `python -m holster_sdk`: the command line of `_build`."""

import argparse
import sys
import time
from pathlib import Path

from holster_sdk._build import BuildError, build


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    start = time.monotonic()
    try:
        size = build(options.module, options.out)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {size / 2**20:.1f} MiB, in {time.monotonic() - start:.1f} s")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("holster-sdk", description="Makes components of tools in Python.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = commands.add_parser("build", help="build a component", description="Builds a component from a module.")
    command.add_argument("module", type=Path, metavar="MODULE", help="the module, or the package, that declares tools")
    command.add_argument("-o", "--out", type=Path, required=True, metavar="COMPONENT", help="such as dist/my-tool.wasm")
    return parser


if __name__ == "__main__":
    sys.exit(main())
