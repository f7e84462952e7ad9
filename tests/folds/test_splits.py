"""Outer and inner splits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import compare, compare_patients
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit, RepeatedStratifiedKFold

from nonredundant import LesionTable
from nonredundant.folds.splits import (
    cross_fitting_splits,
    default_repeats,
    inner_splits,
    make_folds,
    read_cv,
)
from nonredundant.patients import LesionGraphClassifier


@pytest.fixture
def cohort_of_noise():
    """Return 24 samples with ids, and labels that occur in both halves."""
    features = pd.DataFrame(np.random.default_rng(0).normal(size=(24, 3)))
    table = LesionTable(features.add_prefix("f"), index=[f"P{i}" for i in range(24)])
    return table, np.arange(24) % 2


def test_folds_hold_each_sample_out_once_a_repeat_and_are_stratified():
    y = np.repeat([0, 1], [40, 20])
    folds = make_folds(y, cv=4, n_repeats=3)
    for repeat in range(3):
        held = np.concatenate([f.test for f in folds if f.repeat == repeat])
        assert sorted(held) == list(range(60))
    assert all(y[f.test].sum() == 5 for f in folds)
    assert len({f.seed for f in folds}) == 12


def test_groups_stay_together_at_both_levels():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 30, 120)
    y = (rng.random(30) < 0.5).astype(int)[groups]
    for fold in make_folds(y, cv=3, n_repeats=2, groups=groups):
        assert not set(groups[fold.train]) & set(groups[fold.test])
        inner = groups[fold.train]
        for train, test in inner_splits(y[fold.train], inner, fold.seed):
            assert not set(inner[train]) & set(inner[test])


def test_a_rare_class_and_few_hospitals_do_not_stop_a_comparison():
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(60, 4)))
    rare = np.repeat([0, 1], [54, 6])
    found = compare(LesionTable(features), rare, classifiers=["SVM"], feature_sets=["HCR"], cv=3)
    assert len(found.predictions) == 60
    hospitals, y = np.arange(60) // 12, (np.arange(60) % 12 < 4).astype(int)
    found = compare(
        LesionTable(features),
        y,
        classifiers=["LR", "SVM"],
        feature_sets=["HCR"],
        cv=5,
        groups=hospitals,
    )
    assert len(found.predictions) == 2 * 60


@pytest.mark.parametrize("n_groups", [2, 3, 5])
def test_inner_splits_of_few_groups_hold_every_class_or_are_left_out(n_groups):
    groups = np.arange(60) % n_groups
    y = ((groups == 0) & (np.arange(60) < 30)).astype(int)
    y[groups == 1] = np.arange((groups == 1).sum()) % 2
    for train, test in inner_splits(y, groups, 0):
        assert len(np.unique(y[train])) == len(np.unique(y[test])) == 2
    held = np.concatenate([test for _, test in cross_fitting_splits(y, groups, 0)])
    assert sorted(held) == list(range(60))


def test_cross_fitting_needs_two_groups():
    with pytest.raises(ValueError, match="are of one group: set gamma=0"):
        cross_fitting_splits(np.arange(20) % 2, np.zeros(20), 0)


def test_a_splitter_that_breaks_groups_up_is_refused():
    y = np.tile([0, 1], 20)
    groups = np.arange(40) // 4
    with pytest.raises(ValueError, match="groups .* are on both sides"):
        make_folds(y, cv=KFold(5, shuffle=True, random_state=0), groups=groups)
    assert len(make_folds(y, cv=GroupKFold(5), groups=groups)) == 5


def test_repeats_of_a_splitter_are_told_apart():
    y = np.tile([0, 1], 20)
    folds = make_folds(y, cv=RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=0))
    assert [(f.repeat, f.fold) for f in folds] == [(r, k) for r in range(2) for k in range(4)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cv": 1}, "cv must be at least 2"),
        ({"cv": 8}, "rarest class, 1, has 5 samples but cv=8 folds need one each: use cv=5"),
        ({"cv": 8, "names": ["low", "high"]}, "rarest class, 'high', has 5 samples"),
        ({"cv": 3, "groups": np.repeat([0, 1], [35, 5])}, "1 group but .* needs at least 2"),
        ({"cv": KFold(8)}, "lacks class"),
        ({"cv": KFold(8), "names": ["low", "high"]}, "lacks class .'high'."),
        ({"n_repeats": 1.5}, "n_repeats must be a whole number, got 1.5"),
    ],
)
def test_folds_that_cannot_be_scored_are_refused(settings, message):
    y = np.repeat([0, 1], [35, 5])
    with pytest.raises(ValueError, match=message):
        make_folds(y, **settings)


def halves(n):
    """Return both ways of training on one half and testing on the other."""
    first = np.arange(n) < n // 2
    return [(first, ~first), (~first, first)]


def test_splits_may_be_given_one_by_one(cohort_of_noise):
    table, y = cohort_of_noise
    masks = halves(len(table))
    positions = [(np.flatnonzero(train), np.flatnonzero(test).tolist()) for train, test in masks]
    by_mask = compare(table, y, cv=masks, feature_sets=["HCR"], classifiers="LR")
    by_position = compare(table, y, cv=iter(positions), feature_sets=["HCR"], classifiers="LR")
    pd.testing.assert_frame_equal(by_mask.predictions, by_position.predictions)
    assert by_mask.predictions["repeat"].unique().tolist() == [0]
    for fold, (_, test) in enumerate(positions):
        rows = by_mask.predictions["fold"] == fold
        held = by_mask.predictions.loc[rows, "sample"]
        assert set(held) == set(table.index[test])


def test_positions_of_splits_count_the_samples_given_not_those_extracted(cohort_of_noise):
    table, y = cohort_of_noise
    status = np.full(len(table), "ok", dtype=object)
    status[[0, 5]] = "no such file"
    broken = table.replace(status=status)
    with pytest.warns(UserWarning, match="2 samples could not be extracted"):
        found = compare(
            broken, y, cv=halves(len(table)), feature_sets=["HCR"], classifiers="LR"
        ).predictions
    first = found.loc[found["fold"] == 1, "sample"]
    assert set(first) == set(table.index[: len(table) // 2]) - {table.index[0], table.index[5]}


class GivenSplits:
    """A splitter of the user's own that names samples by position, and leaves the last one out."""

    def split(self, X, y=None, groups=None):
        first, second = np.arange(12), np.arange(12, 23)
        yield from [(second, first), (first, second)]

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


@pytest.mark.parametrize(
    "cv", [PredefinedSplit(np.arange(24) // 12), GivenSplits()], ids=["predefined", "own"]
)
def test_a_splitter_of_positions_counts_the_samples_given(cohort_of_noise, cv):
    table, y = cohort_of_noise
    status = np.full(len(table), "ok", dtype=object)
    status[[0, 5]] = "no such file"
    broken = table.replace(status=status)
    with pytest.warns(UserWarning, match="2 samples could not be extracted"):
        found = compare(broken, y, cv=cv, feature_sets=["HCR"]).predictions
    held = found.loc[found["fold"] == 0, "sample"]
    assert set(held) == set(table.index[:12]) - {table.index[0], table.index[5]}


def test_folds_that_failed_cases_make_impossible_name_these(cohort_of_noise):
    table, _ = cohort_of_noise
    y = np.repeat([0, 1], [20, 4])
    broken = table.replace(status=["ok"] * 22 + ["no such file"] * 2)
    with pytest.raises(ValueError, match=r"use cv=2 .*could not be extracted.*P22.*no such file"):
        compare(broken, y, cv=4, feature_sets=["HCR"])


@pytest.mark.parametrize(
    ("cv", "kind", "message"),
    [
        ("five", TypeError, "a list of pairs .* got 'five'"),
        (5.0, TypeError, "a number of folds, a scikit-learn splitter"),
        (True, TypeError, "got True"),
        (KFold, TypeError, "got <class"),
        ([], ValueError, "it has no fold"),
        ([[0, 1, 2]], TypeError, "pairs"),
        ([([0, 1], [2, 9])], ValueError, "test part of fold 0 names the positions .9.*0 to 3"),
        ([([0.5, 1], [2, 3])], ValueError, "training part of fold 0 must hold integer"),
        ([([True, False], [2, 3])], ValueError, "mask of the 4 samples"),
    ],
)
def test_what_is_no_cross_validation_is_refused(cv, kind, message):
    with pytest.raises(kind, match=message):
        read_cv(cv, np.ones(4, dtype=bool))


def test_folds_have_their_share_of_events(patient_cohort, times):
    found = compare_patients(patient_cohort[0], times, classifiers="Cox")
    share = found.predictions.groupby("fold")["y"].agg(lambda y: (y == "event").mean())
    np.testing.assert_allclose(share, times["event"].mean(), atol=0.04)


class SpyGraph(LesionGraphClassifier):
    """Remembers the patients of every fit."""

    fitted_on: list = []

    def fit(self, X, y):
        self.fitted_on.append(frozenset(X.index))
        return super().fit(X, y)


def test_patients_never_straddle_a_split(patient_cohort):
    table, y, _ = patient_cohort
    SpyGraph.fitted_on.clear()
    found = compare_patients(table, y, patients=SpyGraph(max_epochs=1, device="cpu"))
    held = found.predictions.groupby("fold")["sample"].agg(frozenset)
    assert len(SpyGraph.fitted_on) == 3
    assert {frozenset(table.index) - one for one in SpyGraph.fitted_on} == set(held)


@pytest.mark.parametrize(
    ("n", "repeats"), [(20, 10), (51, 5), (100, 3), (199, 2), (200, 1), (5000, 1)]
)
def test_smaller_cohorts_have_more_repeats(n, repeats):
    assert default_repeats(n) == repeats
