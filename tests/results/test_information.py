"""The test of added information of a comparison: which latents, which residuals, which samples."""

from __future__ import annotations

import numpy as np
import pytest
from cohorts_for_tests import PLAIN, TIMES, CheapNetwork, compare, make_table
from sklearn.linear_model import LogisticRegression

from nonredundant.folds.outcome import read_outcome
from nonredundant.results.information import outcome_residuals


class CountingNetwork(CheapNetwork):
    """Stands in for the network, and notes the samples of each fit."""

    fits: list[int] = []

    def fit(self, X, y=None):
        self.fits.append(X.n_samples)
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("reference", "n_whole"),
    [("HCR", 1), ("H3", 0)],
    ids=["no label affects the network", "columns of h are selected by the labels"],
)
def test_only_networks_that_no_label_affects_see_the_whole_cohort(reference, n_whole):
    table, y = make_table(60)
    CountingNetwork.fits = []
    found = compare(
        table,
        y,
        cvae=CountingNetwork(),
        classifiers=PLAIN,
        feature_sets=[reference, f"{reference}+DLR"],
        n_jobs=1,
    )
    assert CountingNetwork.fits.count(60) == n_whole
    row = found.added_information.iloc[0]
    assert row[["feature_set", "reference"]].tolist() == [f"{reference}+DLR", reference]
    assert row["n_samples"] == 60
    assert 0 < row["p_value"] <= 1


class Copy(CheapNetwork):
    """Stands in for a network whose latents repeat a hand-crafted feature with little noise."""

    def transform(self, X):
        seen = np.log(X.features["original_firstorder_Maximum"].to_numpy())
        noise = np.random.default_rng(0).normal(size=(len(seen), 2))
        return np.column_stack([seen / 0.3 + 0.2 * noise[:, 0], noise[:, 1]])


def test_latents_that_copy_a_known_feature_add_nothing():
    """The permutation test, which assumes independence, is misled here; the other one is not."""
    table, _ = make_table(120)
    seen = np.log(table.features["original_firstorder_Maximum"].to_numpy()) / 0.3
    y = (seen + np.random.default_rng(2).logistic(size=120) > 0).astype(int)
    strong = {"LR": LogisticRegression(C=0.003)}
    found = compare(table, y, cvae=Copy(), classifiers=strong, feature_sets=["HCR", "HCR+DLR"])
    p = found.added_information.set_index("method")["p_value"]
    assert p["permutation"] < 0.01
    assert p["projected-covariance"] > 0.05


def test_what_is_new_is_found_by_both_tests():
    table, y = make_table(120)
    found = compare(table, y, feature_sets=["HCR", "HCR+DLR-MI"])
    assert found.added_information["method"].tolist() == ["permutation", "projected-covariance"]
    assert (found.added_information["p_value"] < 0.05).all()


def test_residuals_of_classes_are_label_minus_probability():
    y = np.array(["a", "b", "b", "a"])
    responses = np.array([[0.75, 0.25], [0.5, 0.5], [np.nan, np.nan], [1.0, 0.0]])
    residuals = outcome_residuals(read_outcome(y, None, len(y), 0), responses)
    assert residuals[[0, 1, 3], 0].tolist() == [-0.25, 0.5, 0.0]
    assert np.isnan(residuals[2]).all()


def test_residuals_of_times_add_up_to_zero_and_are_unknown_where_there_is_no_risk():
    rng = np.random.default_rng(0)
    y = np.array(list(zip([True] * 6 + [False] * 2, range(1, 9), strict=True)), dtype=TIMES)
    risks = rng.normal(size=(8, 1))
    risks[3] = np.nan
    residuals = outcome_residuals(read_outcome(y, None, len(y), 0), risks)
    assert residuals.shape == (8, 1)
    assert np.isnan(residuals[3, 0])
    assert np.nansum(residuals) == pytest.approx(0.0, abs=1e-9)


class RepeatingNetwork(CheapNetwork):
    """Stands in for a network whose latents repeat a feature that the label depends on."""

    def transform(self, X):
        seen = np.log(X.features["original_firstorder_Maximum"].to_numpy())
        noise = np.random.default_rng(0).normal(size=(2, len(seen)))
        return np.column_stack([seen + 0.05 * noise[0], noise[1]])


def test_what_repeats_the_features_is_not_said_to_inform():
    table, _ = make_table(120, hidden=0.0)
    seen = np.log(table.features["original_firstorder_Maximum"].to_numpy()) / 0.3
    y = (seen + np.random.default_rng(2).logistic(size=120) > 0).astype(int)
    found = compare(
        table, y, cvae=RepeatingNetwork(), audit=["dcor"], cv=4, feature_sets=["HCR", "HCR+DLR-MI"]
    )
    findings = found.findings()
    assert findings["new"].verdict == "dependent"
    rows = found.added_information.set_index("method")
    assert rows.loc["projected-covariance", "p_value"] > 0.05
    said = f"{rows.loc['projected-covariance', 'p_value']:.3f}"
    assert f"test of added information p = {said}" in findings["helps"].text
    assert findings["helps"].verdict == "none seen"
