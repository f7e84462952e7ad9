"""Work that is killed leaves nothing corrupt, and done again it has the identical result."""

from __future__ import annotations

import random

import pytest
from faults_for_tests import FIRST, TASKS, Killer


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TASKS))
def test_a_task_that_is_killed_survives(tmp_path, name):
    with Killer(tmp_path) as killer:
        if name in FIRST:
            killer.finish(f"before {name}", "before")
        expected, seconds = killer.finish(name, "whole")
        after = random.uniform(0.2, 0.8) * seconds
        killer.survives(name, "killed", expected, after, n_jobs=2, group=True)
