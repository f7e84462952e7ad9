"""Write the result of a benchmark into its section of `docs/benchmarks.md`."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Each section is written by the script that it names; run the script to repeat the measurement.
"""


def machine() -> str:
    """Describe the machine, the versions and the date in one line."""
    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8"))
        cpu = found.group(1) if found else cpu
    return (
        f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {datetime.date.today().isoformat()}"
    )


def write_section(script: str, title: str, body: str, document: Path = DOCUMENT) -> None:
    """Replace or append the section of a script in a document, and print it."""
    begin, end = f"<!-- {script} -->", f"<!-- end of {script} -->"
    section = f"{begin}\n## {title}\n\n`benchmarks/{script}`; {machine()}.\n\n{body.strip()}\n{end}"
    text = document.read_text(encoding="utf-8") if document.exists() else HEAD
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    document.write_text(text, encoding="utf-8")
    print(section)
