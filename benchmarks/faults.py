"""Kill extraction, training, folds and the writing of reports at random moments, and do them again.

Each task runs in a process of its own, which is killed by SIGKILL at a moment drawn uniformly from
its duration: alone, together with its worker processes, or such that these outlive it. What it
leaves is checked, and the task is done again: the result must be that of a task nobody killed, bit
by bit.
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

from faults_for_tests import FIRST, TASKS, Killer  # noqa: E402

DOCUMENT = ROOT / "docs" / "reliability.md"


#: Number of processes, and whether all of them are killed.
MODES = ((1, False), (2, True), (1, False), (2, False))


def count(name: str, n: int, killer: Killer) -> tuple[int, int, float]:
    """Return how often a task was running when it was killed, and how often it survived."""
    if name in FIRST:
        killer.finish(f"before {name}", "before")
    expected = killer.finish(name, "whole")[0]
    # By the number of processes, the second time, as the first includes starting the workers.
    seconds = {k: killer.finish(name, f"whole{k}", k)[1] for k in (1, 2)}
    rng = random.Random(name)
    alive = fine = 0
    for i in range(n):
        n_jobs, group = MODES[i % len(MODES)]
        after = rng.uniform(0, seconds[n_jobs])
        try:
            alive += killer.survives(name, f"{i}", expected, after, n_jobs=n_jobs, group=group)
            fine += 1
        except AssertionError as error:
            print(f"{name}, attempt {i}: {error}", file=sys.stderr)
        print(f"{name}: {i + 1} of {n}, {alive} killed, {fine} survived", file=sys.stderr)
    return alive, fine, seconds[1]


def main() -> None:
    """Count, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--print-only", action="store_true")
    options = parser.parse_args()
    rows = []
    for name in options.tasks:
        with tempfile.TemporaryDirectory() as folder, Killer(Path(folder)) as killer:
            alive, fine, seconds = count(name, options.moments, killer)
        rows.append(f"| {name} | {options.moments} | {alive} | {fine} | {seconds:.1f} |")
        print(rows[-1], flush=True)
    head = (
        "| task | moments | still running when killed | nothing corrupt, then the identical result "
        "| seconds when undisturbed |\n| --- | --- | --- | --- | --- |\n"
    )
    if not options.print_only:
        write_section("faults.py", "Killed at random moments", head + "\n".join(rows), DOCUMENT)


if __name__ == "__main__":
    main()
