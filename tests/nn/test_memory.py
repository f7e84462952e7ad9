"""A training step reuses the memory of the last one."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from nonredundant.nn.memory import _glibc, memory_kept

FAULTS = """
import resource, sys
import numpy as np
from nonredundant.nn.memory import memory_kept

def step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [np.ones(1_500_000) for _ in range(8)]
    del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with memory_kept():
    print([step() for _ in range(4)][-1])
print([step() for _ in range(4)][-1])
"""


@pytest.mark.skipif(_glibc() is None, reason="only glibc is told to keep memory")
def test_arrays_of_a_step_cost_no_page_faults_within_the_context():
    out = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    within, after = map(int, out.stdout.split())
    assert within < 100
    assert after > 1000


def test_what_was_kept_is_returned():
    if _glibc() is None:
        pytest.skip("only glibc is told to keep memory")
    import numpy as np

    def size():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    with memory_kept():
        parts = [np.ones(1_000_000) for _ in range(20)]
        full = size()
        del parts
    assert full - size() > 100e6
