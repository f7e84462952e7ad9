"""Kill extraction, training, folds and the writing of reports at random moments, and do them again.

Each task runs in a process of its own, which is killed by SIGKILL at a moment drawn uniformly from
its duration, every second time with its worker processes, otherwise alone. What it leaves is
checked, and the task is done again: the result must be that of a task nobody killed, bit by bit.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from reporting import write_section

# The tasks are those of the tests, which kill each of them once.
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from faults_for_tests import TASKS, finish, prepare_report, survives  # noqa: E402

DOCUMENT = ROOT / "docs" / "reliability.md"


def count(name: str, n: int, folder: Path) -> tuple[int, int, int, float]:
    """Return how often a task was tried, was alive when it was killed, and survived."""
    expected, seconds = finish(name, folder / "whole")
    rng = random.Random(name)
    alive = fine = 0
    for i in range(n):
        after = rng.uniform(0, seconds)
        try:
            alive += survives(name, folder / f"{i}", expected, after, workers_too=bool(i % 2))
            fine += 1
        except AssertionError as error:
            print(f"{name}, attempt {i}: {error}", file=sys.stderr)
        print(f"{name}: {i + 1} of {n}, {alive} killed, {fine} survived", file=sys.stderr)
    return n, alive, fine, seconds


def main() -> None:
    """Count, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--print-only", action="store_true")
    options = parser.parse_args()
    rows = []
    for name in options.tasks:
        with tempfile.TemporaryDirectory() as folder:
            if name == "report and tables":
                prepare_report(Path(folder) / "whole")
            n, alive, fine, seconds = count(name, options.moments, Path(folder))
        rows.append(f"| {name} | {n} | {alive} | {fine} | {seconds:.1f} |")
        print(rows[-1], flush=True)
    head = (
        "| task | moments | still running when killed | nothing corrupt, then the identical result "
        "| seconds when undisturbed |\n| --- | --- | --- | --- | --- |\n"
    )
    if not options.print_only:
        write_section("faults.py", "Killed at random moments", head + "\n".join(rows), DOCUMENT)


if __name__ == "__main__":
    main()
