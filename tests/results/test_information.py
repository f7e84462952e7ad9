"""The test of added information of a comparison: which latents, which residuals, which samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import PLAIN, TIMES, CheapNetwork, compare, make_patients, make_table
from sklearn.linear_model import LogisticRegression

from nonredundant.folds.outcome import read_outcome
from nonredundant.patients import LesionPooling
from nonredundant.results.information import outcome_residuals


class CountingNetwork(CheapNetwork):
    """Stands in for the network, and notes the samples of each fit."""

    fits: list[int] = []

    def fit(self, X, y=None):
        self.fits.append(X.n_samples)
        return super().fit(X, y)


class LabelledNetwork(CountingNetwork):
    """Stands in for a network that sees labels."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


@pytest.mark.parametrize(
    ("reference", "network", "n_whole"),
    [("HCR", CountingNetwork, 1), ("H3", CountingNetwork, 1), ("HCR", LabelledNetwork, 0)],
    ids=["no label affects the network", "labels select for the classifier", "it sees labels"],
)
def test_only_networks_that_no_label_affects_see_the_whole_cohort(reference, network, n_whole):
    table, y = make_table(60)
    CountingNetwork.fits = []
    found = compare(
        table,
        y,
        cvae=network(),
        classifiers=PLAIN,
        feature_sets=[reference, f"{reference}+DLR"],
        n_jobs=1,
    )
    assert CountingNetwork.fits.count(60) == n_whole
    methods = ["permutation", "double-residual", "similarity"][: 3 if n_whole else 2]
    assert found.added_information["method"].tolist() == methods
    for _, row in found.added_information.iterrows():
        assert row[["feature_set", "reference"]].tolist() == [f"{reference}+DLR", reference]
        assert row["unit"] == ("cohort" if n_whole else "fold")
        assert row["n_samples"] == 60
        assert 0 < row["p_value"] <= row["p_holm"] <= 1


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
    assert p["double-residual"] > 0.05


def test_what_is_new_is_found_by_all_tests():
    table, y = make_table(120)
    found = compare(table, y, feature_sets=["HCR", "HCR+DLR-MI"])
    assert len(found.added_information) == 3
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
    p = found.added_information.set_index("method")["p_value"]
    assert p["double-residual"] > 0.05
    assert findings["helps"].verdict == "unsettled" if p["permutation"] < 0.05 else "none seen"
    assert "say something of the outcome (" not in findings["helps"].text


def test_a_selection_is_tested_beyond_all_columns():
    """d repeats a column that the classifier does not select, and so does y."""
    table, _ = make_table(120)
    names = [f"original_firstorder_F{i}" for i in range(6)]
    rng = np.random.default_rng(3)
    values = rng.normal(size=(120, 6))
    table = table.replace(
        features=pd.DataFrame(values, columns=names, index=table.features.index),
        blocks=dict.fromkeys(names, "hcr"),
    )
    y = (1.5 * values[:, 0] + 1.5 * values[:, 1] + rng.logistic(size=120) > 0).astype(int)

    class Repeats(CheapNetwork):
        def transform(self, X):
            noise = np.random.default_rng(0).normal(size=(len(X.features), 2))
            known = X.features[names].to_numpy()
            return known[:, :2] + 0.2 * noise

    found = compare(table, y, cvae=Repeats(), classifiers=PLAIN, feature_sets=["H1", "H1+DLR"])
    p = found.added_information.set_index("method")["p_value"]
    assert p["permutation"] < 0.05
    assert p["double-residual"] > 0.05
    assert found.findings()["helps"].verdict == "unsettled"
    assert "a selection of the hand-crafted features" in found.answer()


@pytest.mark.parametrize("how", ["max", ["max", "std"]], ids=["max", "max and spread"])
def test_what_is_known_of_patients_is_as_pooled(how):
    """d repeats the hottest lesion, which is what classifiers see, and so does y."""
    table, y, hottest = make_patients(120, seed=4)

    class Hottest(CheapNetwork):
        def transform(self, X):
            seen = X.features.groupby(X.sample)["original_firstorder_Mean"].transform("max")
            noise = np.random.default_rng(0).normal(size=len(seen))
            return np.column_stack([seen + 0.1 * noise, noise])

    found = compare(
        table,
        y,
        cvae=Hottest(),
        audit=["r2-of-latents"],
        patients=LesionPooling(how),
        feature_sets=["HCR", "HCR+DLR"],
    )
    p = found.added_information.set_index("method")["p_value"]
    assert p["double-residual"] > 0.05
    assert found.redundancy.set_index("method").loc["r2-of-latents", "estimate"] > 0.9


def test_centres_that_differ_in_outcome_and_in_latents_inform_only_across_centres():
    table, _ = make_table(120)
    rng = np.random.default_rng(1)
    centre = rng.integers(2, size=120)
    y = (2 * centre - 1 + rng.logistic(size=120) > 0).astype(int)
    table = table.replace(
        samples=table.samples.assign(site=np.where(centre, "a", "b")),
    )
    of = pd.Series(centre, index=table.index)

    class Scanner(CheapNetwork):
        def transform(self, X):
            noise = np.random.default_rng(0).normal(size=(len(X.features), 2))
            return noise + 2.0 * of.loc[X.index].to_numpy()[:, None]

    sets = {"cvae": Scanner(), "classifiers": PLAIN, "feature_sets": ["HCR", "HCR+DLR"]}
    across = compare(table, y, **sets).added_information["p_value"]
    within = compare(table, y, centre="site", **sets).added_information["p_value"]
    assert (across < 0.01).all()
    assert (within > 0.05).all()
