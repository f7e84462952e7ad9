"""Intervals and paired tests."""

from __future__ import annotations

import numpy as np
import pytest
from cohorts_for_tests import (
    compare,
    compare_patients,
    make_patients,
    make_table,
    make_times,
)
from sklearn.model_selection import StratifiedShuffleSplit
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.metrics import concordance_index_censored

from nonredundant import LesionTable


def test_intervals_end_where_scores_end(found):
    summary = found.summary
    assert summary["low"].between(0, summary["mean"]).all()
    assert summary["high"].between(summary["mean"], 1).all()


def test_paired_differences_are_those_of_the_scores(found):
    wide = found.scores.pivot(
        index=["repeat", "fold"], columns=["feature_set", "metric"], values="score"
    )
    for row in found.tests.itertuples():
        difference = wide[row.feature_set, row.metric] - wide[row.reference, row.metric]
        assert difference.mean() == pytest.approx(row.estimate)
        if row.reason:
            assert np.isnan([row.low, row.high, row.p_value, row.p_holm]).all()
            continue
        assert row.low <= row.estimate <= row.high
        assert row.p_holm >= row.p_value


def test_overlapping_test_folds_are_tested(cohort):
    found = compare(*cohort, cv=StratifiedShuffleSplit(3, test_size=0.4, random_state=0))
    assert found.tests["p_value"].notna().any()


def test_the_test_set_is_compared_by_delong_and_other_scores_by_bootstrap(cohort):
    table, y = cohort
    train, test = np.arange(50), np.arange(50, 90)
    held = (table[test], y[test])
    scoring = ["roc_auc", "balanced_accuracy"]
    found = compare(table[train], y[train], test=held, scoring=scoring)
    methods = found.tests.set_index("metric")["method"]
    assert set(methods["roc_auc"]) == {"DeLong"}
    assert set(methods["balanced_accuracy"]) == {"paired bootstrap"}
    assert (found.summary["low"] <= found.summary["mean"]).all()
    assert (found.summary["mean"] <= found.summary["high"]).all()
    assert "held-out test set" in found.answer()


def test_sets_that_are_equal_by_construction_count_once_in_holms_method(cohort):
    """The network of these tests ignores its independence term."""
    sets = ["HCR", "HCR+DLR", "HCR+DLR-MI"]
    both = compare(*cohort, feature_sets=sets).tests.query("reference == 'HCR'")
    assert both["p_value"].nunique() == 1
    assert both["p_holm"].tolist() == pytest.approx(both["p_value"].tolist())


def test_a_test_set_with_one_positive_has_scores_without_errors(cohort):
    table, y = cohort
    test = np.r_[np.flatnonzero(y == 1)[:1], np.flatnonzero(y == 0)[:10]]
    train = np.setdiff1d(np.arange(len(y)), test)
    found = compare(table[train], y[train], test=(table[test], y[test]))
    assert found.summary["mean"].between(0, 1).all()
    assert (found.summary["reason"] == "one case of a class is too few").all()
    assert found.tests["p_value"].isna().all()
    assert "one case of a class is too few" in found.answer()


def test_differences_of_concordances_end_where_differences_end():
    table, _, hottest = make_patients(40)
    y = make_times(hottest)
    y["event"][np.flatnonzero(y["event"])[5:]] = False
    tests = compare(table, y, classifiers=["Cox"]).tests
    assert tests["low"].dropna().ge(-1).all()
    assert tests["high"].dropna().le(1).all()
    assert tests["low"].notna().any()


def test_graph_and_pooling_are_compared_fold_by_fold(graphs):
    wide = graphs.scores.pivot_table(
        index="fold", columns=["feature_set", "classifier"], values="score"
    )
    name = "Clinical+HCR"
    difference = (wide[name, "graph"] - wide[name, "LR"]).to_numpy()
    row = graphs.graph_tests.query("feature_set == @name and reference == 'LR'").iloc[0]
    assert row["estimate"] == pytest.approx(difference.mean())
    assert 0 < row["p_value"] <= 1


def test_a_held_out_test_set_of_times(patient_cohort, times):
    table = patient_cohort[0]
    other, _, hottest = make_patients(seed=5)
    other = LesionTable(
        other.features.reset_index(drop=True),
        blocks=other.blocks,
        patches=other.patches,
        sample=other.sample,
        positions=other.positions,
        index=[f"other{i}" for i in range(len(other))],
    )
    held = make_times(hottest, seed=6)
    found = compare_patients(
        table,
        times,
        test=(other, held),
        patients="max",
        classifiers={"mine": CoxPHSurvivalAnalysis(alpha=1.0)},
        feature_sets=["HCR", "HCR+DLR"],
    )
    one = found.predictions.query("feature_set == 'Clinical+HCR'").set_index("sample")
    one = one.loc[other.index]
    expected = concordance_index_censored(held["event"], held["time"], one["score"])[0]
    row = found.summary.query("feature_set == 'Clinical+HCR'").iloc[0]
    assert row["mean"] == pytest.approx(expected)
    assert row["low"] < expected < row["high"]
    assert found.tests["method"].unique().tolist() == ["paired concordance"]


def test_samples_of_a_group_in_the_test_set_are_not_independent():
    table, y = make_table(150)
    new, truth = table[90:], y[90:]
    twice = np.repeat(np.arange(60), 2)
    copies = new[twice].replace(index=[f"copy{i}" for i in range(120)])
    settings = {"feature_sets": ["HCR", "HCR+DLR"], "scoring": ["roc_auc", "balanced_accuracy"]}
    once = compare(table[:90], y[:90], test=(new, truth), **settings).summary
    found = compare(table[:90], y[:90], test=(copies, truth[twice], twice), **settings)
    summary = found.summary
    auc, other = (summary["metric"] == name for name in ("roc_auc", "balanced_accuracy"))
    width = (once["high"] - once["low"])[auc]
    np.testing.assert_allclose((summary["high"] - summary["low"])[auc], width, rtol=0.1)
    assert summary.loc[other, ["low", "high"]].isna().all(axis=None)
    assert summary.loc[other, "reason"].str.contains("groups").all()
    tests = found.tests.set_index("metric")
    assert tests.loc["roc_auc", "method"] == "DeLong, clustered"
    assert np.isnan(tests.loc["balanced_accuracy", "p_value"])
