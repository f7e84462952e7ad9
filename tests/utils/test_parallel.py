"""A process that dies: its task is known, the others have their results."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from nonredundant.utils.parallel import WorkerDiedError, run_tasks


def run(function, tasks, **options):
    return list(run_tasks(function, tasks, what="counting", **{"n_jobs": 2, **options}))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_results_come_in_the_order_of_the_tasks(n_jobs):
    found = run(pow, [(i, 2) for i in range(7)], n_jobs=n_jobs)
    assert found == [(i, i**2) for i in range(7)]


def test_unordered_results_have_their_positions():
    found = run(pow, [(i, 2) for i in range(7)], ordered=False)
    assert sorted(found) == [(i, i**2) for i in range(7)]


def test_no_tasks():
    assert run(pow, []) == []


def test_errors_of_the_function_are_raised():
    with pytest.raises(ZeroDivisionError):
        run(divmod, [(1, 1), (1, 0)])


def test_a_task_that_kills_its_process_is_known_and_the_others_are_done():
    def square(i):
        if i == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return i**2

    with pytest.warns(UserWarning, match=r"counting was killed \(SIGKILL\(-9\)\).*n_jobs"):
        found = dict(run(square, [(i,) for i in range(9)]))
    died = found.pop(4)
    assert isinstance(died, WorkerDiedError)
    assert str(died) == "SIGKILL(-9)"
    assert found == {i: i**2 for i in range(9) if i != 4}


def test_tasks_of_a_round_that_was_cut_off_are_not_reported_to_the_next_one():
    """They were under way when the process died, so tasks must take a while."""

    def square(i):
        time.sleep(0.01)
        if i in (3, 11):
            os.kill(os.getpid(), signal.SIGKILL)
        return i**2

    with pytest.warns(UserWarning, match="counting was killed"):
        found = dict(run(square, [(i,) for i in range(20)]))
    died = {i: found.pop(i) for i in (3, 11)}
    assert all(isinstance(one, WorkerDiedError) for one in died.values())
    assert found == {i: i**2 for i in range(20) if i not in died}


def test_a_task_that_dies_once_has_its_result(tmp_path):
    def square(i):
        # The first attempt takes the file away.
        if i == 3 and (tmp_path / "once").exists():
            (tmp_path / "once").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return i**2

    (tmp_path / "once").touch()
    with pytest.warns(UserWarning, match="repeated one at a time"):
        found = run(square, [(i,) for i in range(6)])
    assert sorted(found) == [(i, i**2) for i in range(6)]


class Deadly:
    """Kills the process that receives it, before its task has begun."""

    def __reduce__(self):
        return os.kill, (_Own(), signal.SIGKILL)


class _Own:
    def __reduce__(self):
        return os.getpid, ()


def test_a_task_that_dies_before_it_has_begun_is_found():
    tasks = [(i if i != 2 else Deadly(),) for i in range(5)]
    with pytest.warns(UserWarning, match="some tasks are repeated"):
        found = dict(run(str, tasks))
    assert isinstance(found.pop(2), WorkerDiedError)
    assert found == {i: str(i) for i in range(5) if i != 2}


def test_no_marks_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with contextlib.closing(run_tasks(pow, [(1, 1)] * 4, n_jobs=2, what="counting")) as found:
        next(found)
    assert not list(tmp_path.glob("nonredundant-*"))
