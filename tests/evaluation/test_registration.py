"""The plan of an analysis is recorded before its outcomes are read."""

from __future__ import annotations

import json

import pytest
from cohorts_for_tests import PLAIN, compare, make_table

from nonredundant.evaluation.registration import RECORD, register


def lines(folder):
    return [json.loads(line) for line in (folder / RECORD).read_text(encoding="utf-8").splitlines()]


def test_the_plan_is_written_before_outcomes_are_read(tmp_path):
    table, y = make_table(60)
    broken = [*y[:-1], None]
    with pytest.raises(ValueError, match="no label for 1 samples"):
        compare(table, broken, feature_sets=["HCR"], classifiers=PLAIN, memory=tmp_path)
    (line,) = lines(tmp_path)
    assert set(line) == {"plan", "time"}


def test_analyses_of_the_same_outcomes_are_counted_whatever_their_order(tmp_path):
    table, y = make_table(60)
    options = {"classifiers": PLAIN, "memory": tmp_path}
    plans = []
    for number, (rows, sets) in enumerate(
        [(range(60), ["HCR"]), (range(59, -1, -1), ["HCR"]), (range(60), ["HCR", "volume"])], 1
    ):
        found = compare(table[list(rows)], y[list(rows)], feature_sets=sets, **options)
        registered = found.settings.registration
        assert registered["n_runs"] == number
        plans.append(registered["plan"])
    assert plans[0] == plans[1] != plans[2]
    other = compare(table, 1 - y[::-1], feature_sets=["HCR"], classifiers=PLAIN, memory=tmp_path)
    assert other.settings.registration["n_runs"] in (1, 4)


def test_without_a_folder_nothing_is_counted():
    found = register({"cv": 5}, None)
    assert found.count_runs([0, 1]) is None
    assert found.plan != register({"cv": 4}, None).plan
