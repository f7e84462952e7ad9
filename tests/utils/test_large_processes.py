"""A process that has imported much is not taken for one that leaks."""

from __future__ import annotations

import os
import time

import numpy as np

from nonredundant.utils.parallel import run_tasks

_kept = []


def grow(number):
    """Keep 350 MB in the process, as libraries do, and work for longer than joblib waits."""
    if number > 1 and not _kept:
        _kept.append(np.ones(44_000_000))
    time.sleep(0.4)
    return os.getpid()


def test_a_process_that_has_grown_by_its_libraries_is_kept():
    tasks = [(number,) for number in range(12)]
    pids = {pid for _, pid in run_tasks(grow, tasks, n_jobs=2, what="growing")}
    assert len(pids) == 2
