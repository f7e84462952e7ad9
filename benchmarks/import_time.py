"""Compare the time of `import nonredundant` with imports that every analysis needs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import numpy as np
from reporting import write_section

BASE = "import sklearn.base, pandas"
STATEMENTS = (
    BASE,
    "import nonredundant",
    "from nonredundant import LesionTable",
    "from nonredundant import RadiomicsExtractor",
    "from nonredundant import NonRedundantCVAE",
    "from nonredundant import compare_feature_sets",
)


def seconds(statement: str) -> float:
    """Time a statement in a fresh interpreter, without the start of the interpreter."""
    script = (
        f"import time\nstart = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return float(found.stdout)


def main() -> None:
    """Time the statements in turn, so that other load affects each, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    for statement in STATEMENTS:
        seconds(statement)  # writes the bytecode of modules that were never imported
    found = np.array([[seconds(one) for one in STATEMENTS] for _ in range(arguments.rounds)])
    medians = np.median(found, axis=0)
    required = {"import nonredundant": "≤ 1.3"}
    lines = [
        f"| `{one}` | {median:.3f} | {median / medians[0]:.2f} | {required.get(one, '')} |"
        for one, median in zip(STATEMENTS, medians, strict=True)
    ]
    body = (
        f"Each statement in a new interpreter, {arguments.rounds} rounds in alternation. Load "
        f"average at the start: {load:.1f}.\n\n"
        "| statement | seconds (median) | ratio of medians to the first | required |\n"
        "| --- | --- | --- | --- |\n" + "\n".join(lines) + "\n\n"
        "torch, skorch and SimpleITK are imported when they are first used."
    )
    write_section("import_time.py", "Import time", body)


if __name__ == "__main__":
    main()
