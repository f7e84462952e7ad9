"""Tuning of classifiers by inner cross-validation."""

from __future__ import annotations

import numpy as np
import pandas as pd
from cohorts_for_tests import (
    PLAIN,
    NoiseNetwork,
    compare,
    compare_patients,
)

from nonredundant import LesionTable
from nonredundant.evaluation.tuning import prefer_base


def test_a_learned_block_must_win_by_a_standard_error():
    weights = np.array([0.0, 1.0])
    rng = np.random.default_rng(0)
    base = 0.7 + 0.1 * rng.normal(size=10)
    clear = np.column_stack([base, base + 0.1 + 0.02 * rng.normal(size=10)])
    noisy = np.column_stack([base, base + 0.01 + 0.1 * rng.normal(size=10)])
    assert prefer_base(clear, weights) == 1
    assert noisy[:, 1].mean() > noisy[:, 0].mean()
    assert prefer_base(noisy, weights) == 0


def test_without_a_learned_block_the_best_setting_wins():
    assert prefer_base(np.array([[0.5, 0.9, 0.6]]), np.ones(3)) == 1


def test_noise_beside_many_correlated_features_costs_nothing():
    rng = np.random.default_rng(1)
    gains, naive = [], []
    for seed in range(2):
        factors = rng.normal(size=(51, 6))
        y = (factors[:, 0] + 0.7 * rng.normal(size=51) > 0.3).astype(int)
        hcr = factors @ rng.normal(size=(6, 107)) + 0.5 * rng.normal(size=(51, 107))
        patches = rng.normal(size=(51, 1, 8, 8)).astype(np.float32)
        table = LesionTable(pd.DataFrame(hcr).add_prefix("h"), patches=patches)
        settings = {"cvae": NoiseNetwork(16), "feature_sets": ["HCR", "HCR+DLR"], "cv": 5}
        robust = compare(table, y, classifiers="LR", random_state=seed, **settings)
        gains.append(robust.tests["estimate"].iloc[0])
        plain = compare(table, y, classifiers=PLAIN, random_state=seed, **settings)
        naive.append(plain.tests["estimate"].iloc[0])
    assert np.mean(gains) >= -0.01
    assert np.mean(naive) < np.mean(gains)


def test_a_block_that_tells_something_is_used(cohort):
    found = compare(*cohort, classifiers=["LR", "SVM"], feature_sets=["HCR", "HCR+DLR"])
    used = found.choices[found.choices["feature_set"] == "HCR+DLR"]["block_weight"]
    assert (used > 0).mean() > 0.6
    assert (found.tests["estimate"] > 0.05).all()


def test_models_of_times_are_tuned_and_stand_by_default(patient_cohort, times):
    found = compare_patients(patient_cohort[0], times, classifiers=None, feature_sets=["HCR"])
    assert found.settings.classifiers == ["Cox", "RSF"]
    frame = pd.DataFrame({"event": times["event"], "months": times["time"]})
    same = compare_patients(patient_cohort[0], frame, classifiers=["Cox"])
    one = found.scores.query("classifier == 'Cox'")["score"]
    assert one.tolist() == same.scores["score"].tolist()


def test_weights_of_regression_on_times_are_its_coefficients(patient_cohort, times):
    found = compare_patients(patient_cohort[0], times, classifiers="Cox", feature_sets=["HCR"])
    own = found.weights.query("fold == 1")["weight"].to_numpy()
    model = found.models["HCR", "Cox", 0, 1].named_steps["classifier"]
    np.testing.assert_array_equal(own, model.coef_[:, 0])
    assert found.choices["alpha"].isin([1.0, 0.1, 0.01]).all()
