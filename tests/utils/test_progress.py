"""Progress bars appear where somebody watches, once."""

from __future__ import annotations

import io
import sys

from nonredundant.utils import progress as module
from nonredundant.utils.progress import progress


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


def watch(monkeypatch):
    """Let stderr be a terminal, and bars appear at once."""
    # Not in a fixture: pytest replaces stderr after it.
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module, "_PATIENCE", 0)
    return stream


def test_nothing_is_printed_where_nobody_watches(capsys):
    assert list(progress(range(3), total=3, what="Counting")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_verbose_shows_a_bar_anywhere(capsys):
    list(progress(range(3), total=3, what="Counting", verbose=1))
    assert "Counting: 100%" in capsys.readouterr().err


def test_a_terminal_shows_the_outer_bar_alone(monkeypatch):
    terminal = watch(monkeypatch)
    for _ in progress(range(2), total=2, what="Outside"):
        list(progress(range(2), total=2, what="Inside"))
    list(progress(range(2), total=2, what="Afterwards"))
    shown = terminal.getvalue()
    assert "Outside: 100%" in shown
    assert "Inside" not in shown
    assert "Afterwards: 100%" in shown


def test_quick_work_shows_no_bar(monkeypatch):
    terminal = watch(monkeypatch)
    monkeypatch.setattr(module, "_PATIENCE", 60)
    list(progress(range(2), total=2, what="Counting"))
    assert "Counting" not in terminal.getvalue()


def test_a_notebook_is_watched(monkeypatch):
    class Shell:
        kernel = object()

    class IPython:
        get_ipython = staticmethod(Shell)

    monkeypatch.setitem(sys.modules, "IPython", IPython)
    assert not progress(None, total=1, what="Counting").disable


def test_a_worker_is_not_watched(monkeypatch):
    watch(monkeypatch)
    monkeypatch.setattr(module.multiprocessing.current_process(), "_name", "Worker-1")
    assert progress(None, total=1, what="Counting").disable
