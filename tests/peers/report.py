"""One page of measurements, of which each program writes its own section."""

import datetime
import os
import re
from pathlib import Path

TITLE = "# Agents: measured over their protocols"


def machine() -> str:
    """When and where, in one sentence, with how much others did there meanwhile."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"Measured on {today}, {os.cpu_count()} cores, {memory:.0f} GiB of memory"


def write_section(page: Path, heading: str, body: str) -> None:
    """Replaces a section of the page, or adds it at the end."""
    text = page.read_text() if page.exists() else f"{TITLE}\n"
    section = f"## {heading}\n\n{body.strip()}\n"
    found = re.search(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found:
        rest = text[found.end() :]
        text = text[: found.start()] + section + (f"\n{rest}" if rest else "")
    else:
        text = f"{text.rstrip()}\n\n{section}"
    page.write_text(text)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; what begins with a digit is aligned to the right by its column's header, `…:`."""
    rule = ["---:" if cell.endswith(":") else "---" for cell in header]
    lines = [[cell.removesuffix(":") for cell in header], rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def duration(seconds: float) -> str:
    """For people, with three digits."""
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 1000:
            value = seconds * factor
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
    return f"{seconds:.2f} s"


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def resident(pid: int, field: str) -> float:
    """`VmRSS` or `VmHWM` (the peak) of a process, in MiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(field))


def own(pid: int) -> float:
    """What of a process's memory no file holds, in MiB."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) / 1024 for line in rollup if line.startswith("Anonymous"))


def processor_seconds(pid: int) -> float:
    """What a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
