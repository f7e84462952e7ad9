"""Work that is killed leaves nothing corrupt, and done again it has the identical result."""

from __future__ import annotations

import random

import pytest
from faults_for_tests import TASKS, finish, prepare_report, survives


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TASKS))
def test_a_task_that_is_killed_survives(tmp_path, name):
    if name == "report and tables":
        (tmp_path / "first").mkdir()
        prepare_report(tmp_path / "first")
    expected, seconds = finish(name, tmp_path / "whole")
    after = random.uniform(0.2, 0.8) * seconds
    survives(name, tmp_path / "killed", expected, after, workers_too=True)
