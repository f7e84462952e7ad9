"""Groups follow the index of the cases and are whole in each split."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import make_rows

from nonredundant import LesionTable, compare_feature_sets
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.evaluation.groups import check_groups, read_groups
from nonredundant.folds.splits import inner_splits


def test_groups_are_aligned_and_complete():
    table = make_rows()
    groups = pd.Series(list("aabbcc"), index=table.index)
    assert check_groups(groups.iloc[::-1], table).tolist() == list("aabbcc")
    with pytest.raises(ValueError, match=r"groups is missing for 2 samples: \['P1', 'P4'\]"):
        check_groups(["a", None, "b", "b", np.nan, "c"], table)
    with pytest.raises(ValueError, match=r"groups has shape \(2,\)"):
        check_groups(["a", "b"], table)


def test_repeated_ids_need_groups_in_a_comparison_and_group_a_fit():
    rng = np.random.default_rng(0)
    ids = [f"P{k // 2}" for k in range(24)]
    table = LesionTable(pd.DataFrame({"a": rng.normal(size=24)}), index=ids)
    y = np.arange(24) // 2 % 2
    quick = {"feature_sets": ["HCR"], "classifiers": "LR", "cv": 2, "n_repeats": 1}
    with pytest.raises(ValueError, match=r"12 ids have several rows: \['P0', .*groups=X.index"):
        compare_feature_sets(table, y, **quick, baselines=False)
    found = compare_feature_sets(table, y, groups=table.index, baselines=False, **quick)
    for _, one in found.predictions.groupby("sample"):
        assert one["fold"].nunique() == 1
    assert read_groups(None, table).tolist() == ids
    assert read_groups(None, make_rows()) is None


def test_a_fit_tunes_on_splits_of_whole_patients(monkeypatch):
    ids = [f"P{k // 2}" for k in range(40)]
    table = LesionTable(pd.DataFrame({"a": np.arange(40) // 2 * 1.0}), index=ids)
    seen = []

    def spy(y, groups, seed, **more):
        seen.append(groups)
        return inner_splits(y, groups, seed, **more)

    monkeypatch.setattr("nonredundant.folds.fold_data.inner_splits", spy)
    FeatureSetClassifier("HCR").fit(table, np.arange(40) // 2 % 2)
    assert seen[0].tolist() == ids
