"""A thousand damaged files: each an error of its case, or the right value of what the file says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("pydicom")
WORKER = Path(__file__).parent.parent / "fuzz_for_tests.py"
NUMBER, CHUNK = 1000, 250
#: What a process says that wanted more memory than the 2 GiB it may take.
GREEDY = ("not enough memory", "bad_alloc", "Failed to allocate", "Unable to allocate")


def run(*arguments, timeout=60):
    """Run the worker in a process of its own and return its result."""
    return subprocess.run(
        [sys.executable, str(WORKER), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the intact scan in all formats."""
    folder = tmp_path_factory.mktemp("fuzz")
    made = run("make", folder)
    assert made.returncode == 0, made.stderr[-2000:]
    return folder


def check(folder, start, stop, timeout):
    """Measure a range of corruptions and return their results."""
    done = run(folder, start, stop, timeout=timeout)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    at = start + len(found)
    assert done.returncode == 0, f"crashed at {at} ({done.returncode}): {done.stderr[-2000:]}"
    assert len(found) == stop - start
    for one in found:
        assert one["right"], one
        assert one["other"], one
        assert one["seconds"] < 10, one
        assert not any(word in one["status"] for word in GREEDY), one
    return found


def test_some_damaged_files(folder):
    check(folder, NUMBER, NUMBER + 24, 60)


@pytest.mark.slow
def test_a_thousand_damaged_files(folder):
    found = [
        one
        for start in range(0, NUMBER, CHUNK)
        for one in check(folder, start, start + CHUNK, 10 * CHUNK)
    ]
    failed = Counter(one["format"] for one in found if one["status"] != "ok")
    # The damage reaches every reader.
    assert min(failed.values()) > 20
    assert len(failed) == 6
