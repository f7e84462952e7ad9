"""Warnings name the user's line, and one call warns once of each kind."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV

from nonredundant.utils.context import recorded_warnings
from nonredundant.utils.user_warnings import warn_user


class Library(ClassifierMixin, BaseEstimator):
    """Stands in for an estimator of the package that warns in every fit, each time otherwise."""

    n_fits = 0

    def __init__(self, c=1, kind="border"):
        self.c = c
        self.kind = kind

    def fit(self, X, y):
        Library.n_fits += 1
        warn_user(f"{Library.n_fits} of {len(X)} cases touch the border", self.kind)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


@pytest.fixture(autouse=True)
def library(monkeypatch):
    """Let the estimator's code belong to the package."""
    names = frozenset([*warn_user.__globals__["_LIBRARIES"], __name__.split(".")[0]])
    monkeypatch.setitem(warn_user.__globals__, "_LIBRARIES", names)


CODE = compile(
    "def call(function, *arguments):\n    return function(*arguments)\n", "user.py", "exec"
)


def from_a_users_file(function, *arguments):
    """Call a function from another file than this one, and return the warnings."""
    space = {"__name__": "users_script"}
    exec(CODE, space)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        space["call"](function, *arguments)
    return caught


X, Y = np.zeros((20, 2)), np.arange(20) % 2


def test_a_grid_search_warns_once_at_the_users_line():
    search = GridSearchCV(Library(), {"c": [1, 2], "kind": ["border"]}, cv=5)
    for _ in range(2):
        caught = from_a_users_file(search.fit, X, Y)
        assert len(caught) == 1
        assert (Path(caught[0].filename).name, caught[0].lineno) == ("user.py", 2)


def test_kinds_are_told_apart_and_messages_without_a_kind_all_come():
    search = GridSearchCV(Library(), {"kind": ["border", "flat"]}, cv=2, refit=False)
    assert len(from_a_users_file(search.fit, X, Y)) == 2
    search = GridSearchCV(Library(kind=None), {"c": [1, 2]}, cv=2, refit=False)
    assert len(from_a_users_file(search.fit, X, Y)) == 4


def test_recorded_warnings_do_not_depend_on_what_was_told_before():
    def fits():
        warn_user("first", "border")
        for _ in range(2):
            with recorded_warnings() as messages:
                warn_user("again", "border")
                warn_user("and again", "border")
            assert messages == ["again"]

    assert len(from_a_users_file(fits)) == 1
