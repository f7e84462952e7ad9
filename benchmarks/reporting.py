"""Write a benchmark's result into its own section of `docs/benchmarks.md`."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Every section is written by the script that it names; run the script to measure again.
"""


def machine() -> str:
    """Return the machine and the date in one line."""
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


def write_section(script: str, title: str, body: str) -> None:
    """Replace the script's section of the document, or append it, and print it."""
    begin, end = f"<!-- {script} -->", f"<!-- end of {script} -->"
    section = f"{begin}\n## {title}\n\n`benchmarks/{script}`; {machine()}.\n\n{body.strip()}\n{end}"
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else HEAD
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    DOCUMENT.write_text(text, encoding="utf-8")
    print(section)
