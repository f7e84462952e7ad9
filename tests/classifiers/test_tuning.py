"""Tuning of classifiers by inner cross-validation."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import (
    PLAIN,
    NoiseNetwork,
    compare,
    compare_patients,
)

from nonredundant import LesionTable
from nonredundant.classifiers.builtin import (
    NAMES,
    SURVIVAL_NAMES,
    grid_of,
    make_pipeline,
    members_of,
)
from nonredundant.classifiers.tuning import TrainingRows, tune


def correlated(rng, n=51):
    """Return 107 correlated columns, labels that follow one of their six factors, and noise."""
    factors = rng.normal(size=(n, 6))
    y = (factors[:, 0] + 0.7 * rng.normal(size=n) > 0.3).astype(int)
    hcr = factors @ rng.normal(size=(6, 107)) + 0.5 * rng.normal(size=(n, 107))
    patches = rng.normal(size=(n, 1, 8, 8)).astype(np.float32)
    return LesionTable(pd.DataFrame(hcr).add_prefix("h"), patches=patches), y


@pytest.mark.parametrize("name", [*NAMES, *SURVIVAL_NAMES])
def test_no_setting_leaves_the_learned_block_out(name):
    """A fused set contains the learned block, whatever inner cross-validation prefers."""
    assert all(point.get("blocks__weight", 1.0) > 0 for point in grid_of(name, learned=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_model_of_a_fused_set_uses_noise_too(name):
    table, y = correlated(np.random.default_rng(1))
    found = compare(
        table, y, cvae=NoiseNetwork(16), feature_sets=["HCR", "HCR+DLR"], classifiers=name, cv=2
    )
    place = ("HCR+DLR", name, 0, 0)
    rows = np.random.default_rng(0).normal(size=(200, 123))
    moved = rows.copy()
    moved[:, 107:] *= 5
    p, other = (found.models[place].predict_proba(x)[:, 1] for x in (rows, moved))
    assert (p != other).mean() > 0.5


@pytest.mark.slow
def test_noise_beside_many_correlated_features_costs_little():
    rng = np.random.default_rng(1)
    gains, naive = [], []
    for seed in range(2):
        table, y = correlated(rng)
        settings = {"cvae": NoiseNetwork(16), "feature_sets": ["HCR", "HCR+DLR"], "cv": 5}
        robust = compare(table, y, classifiers="LR", random_state=seed, **settings)
        gains.append(robust.tests["estimate"].iloc[0])
        plain = compare(table, y, classifiers=PLAIN, random_state=seed, **settings)
        naive.append(plain.tests["estimate"].iloc[0])
    assert np.mean(gains) >= -0.02
    assert np.mean(naive) < np.mean(gains)


def test_a_block_that_tells_something_gains(cohort):
    found = compare(*cohort, classifiers=["LR", "SVM"], feature_sets=["HCR", "HCR+DLR"])
    used = found.choices[found.choices["feature_set"] == "HCR+DLR"]["block_weight"]
    assert (used > 0).all()
    assert (found.tests["estimate"] > 0.05).all()


def test_without_a_usable_inner_split_the_pipeline_is_fitted_as_it_is():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4)), np.repeat([0, 1], 10)
    for name in (one for one in NAMES if not members_of(one)):
        pipeline, rows = make_pipeline(name, None, 2), TrainingRows(X, y, 2, [])
        tuned = pytest.warns(UserWarning, match="is not tuned: no inner split of the 20")
        with nullcontext() if len(grid_of(name, learned=True)) == 1 else tuned:
            found = tune(name, pipeline, rows, learned=True, own=False, metric=min)
        assert found.chosen == {}
        assert found.model.predict_proba(X).shape == (20, 2)


def test_models_of_times_are_tuned_and_stand_by_default(patient_cohort, times):
    found = compare_patients(patient_cohort[0], times, classifiers=None, feature_sets=["HCR"])
    assert found.settings.classifiers == ["Cox", "RSF"]
    frame = pd.DataFrame({"event": times["event"], "months": times["time"]})
    same = compare_patients(patient_cohort[0], frame, classifiers=["Cox"])
    one = found.scores.query("classifier == 'Cox'")["score"]
    assert one.tolist() == same.scores["score"].tolist()


def test_weights_of_regression_on_times_are_per_standard_deviation(patient_cohort, times):
    found = compare_patients(patient_cohort[0], times, classifiers="Cox", feature_sets=["HCR"])
    own = found.weights.query("fold == 1")["weight"].to_numpy()
    steps = found.models["Clinical+HCR", "Cox", 0, 1].named_steps
    X = steps["impute"].statistics_ + np.eye(len(own)) * steps["blocks"].scale_
    at_median = steps["blocks"].transform(steps["impute"].statistics_[None])
    risk = steps["classifier"].predict(steps["blocks"].transform(X))
    np.testing.assert_allclose(own, risk - steps["classifier"].predict(at_median))
