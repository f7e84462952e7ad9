"""Tests of added information: size, power, groups, strata and what is not possible."""

from __future__ import annotations

import numpy as np
import pytest
from scores_for_tests import censored
from sklearn.svm import SVC

from nonredundant.statistics import added_information
from nonredundant.statistics.added_information import (
    added_information_of_residuals,
    class_residuals,
    martingale_residuals,
    projected_covariance,
)


def rejections(draw, n_studies=200, **settings):
    """Return the share of studies with p < 0.05; `draw(rng)` returns residuals and d."""
    found = []
    for seed in range(n_studies):
        residuals, d, more = draw(np.random.default_rng(seed))
        test = added_information_of_residuals(
            residuals, d, n_permutations=99, random_state=seed, **settings, **more
        )
        found.append(test.p_value <= 0.05)
    return np.mean(found)


def test_noise_is_found_as_often_as_stated():
    share = rejections(lambda rng: (rng.normal(size=60), rng.normal(size=(60, 8)), {}))
    assert 0.02 <= share <= 0.09


def test_an_effect_is_found():
    def draw(rng):
        d = rng.normal(size=(60, 8))
        return 0.7 * d[:, 3] + rng.normal(size=60), d, {}

    assert rejections(draw, 40) > 0.7


def test_rows_of_a_patient_are_permuted_together():
    """Two lesions of a patient share residual and d; as single rows they look like an effect."""

    def draw(rng):
        residuals, d = rng.normal(size=30), rng.normal(size=(30, 4))
        return np.repeat(residuals, 2), np.repeat(d, 2, axis=0), {}

    assert rejections(draw) > 0.15
    assert rejections(draw, groups=np.repeat(np.arange(30), 2)) <= 0.09


def test_latents_of_other_folds_have_other_coordinates():
    def draw(rng):
        signal, strata = rng.normal(size=120), np.arange(120) % 4
        d = rng.normal(size=(120, 3))
        # Each fold's network shows the signal in another latent and direction.
        d[np.arange(120), strata % 3] = signal * np.where(strata < 2, 1, -1)
        return signal + rng.normal(size=120), d, {"strata": strata}

    assert rejections(draw, 20) > 0.8


def test_several_classes_are_tested_at_once():
    rng = np.random.default_rng(0)
    d = rng.normal(size=(150, 3))
    y = np.digitize(d[:, 0] + rng.normal(size=150), [-0.7, 0.7])
    found = added_information(rng.normal(size=(150, 2)), d, y, random_state=0)
    assert found.p_value <= 0.01
    assert found.n_permutations == 499


def test_a_classifier_without_probabilities_leaves_residuals():
    rng = np.random.default_rng(0)
    h, d = rng.normal(size=(80, 2)), rng.normal(size=(80, 2))
    y = (h[:, 0] + 2 * d[:, 0] > 0).astype(int)
    assert added_information(h, d, y, estimator=SVC(), random_state=0).p_value < 0.05


def test_residuals_of_times_need_no_scale_of_the_risk():
    x, event, time = censored(80)
    found = martingale_residuals(event, time, x)
    np.testing.assert_allclose(found, martingale_residuals(event, time, 50 * x + 3), atol=1e-3)
    assert found.sum() == pytest.approx(0, abs=1e-6)
    # Given the risk, less of the outcome is left than without it.
    assert found.std() < martingale_residuals(event, time, 0 * x).std()


def test_residuals_of_margins_are_those_of_probabilities():
    y = np.array([0, 0, 1, 1] * 10)
    margins = np.where(y, 2.0, -1.0) + np.random.default_rng(0).normal(size=40)
    found = class_residuals(y, margins)
    assert found.shape == (40, 1)
    assert (np.abs(found) < 1).all()


def test_the_projected_covariance_stands_where_d_repeats_h():
    """d is noisy h, and the residuals still contain some of h."""
    permutation = projected = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        h = rng.normal(size=(200, 3))
        residuals = 0.3 * h[:, 0] + rng.normal(size=200)
        d = h + 0.5 * rng.normal(size=(200, 3))
        test = added_information_of_residuals(residuals, d, n_permutations=99, random_state=seed)
        permutation += test.p_value <= 0.05
        projected += projected_covariance(residuals, h, d, random_state=seed).p_value <= 0.05
    assert permutation > 50
    assert projected <= 6


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r, d: (0 * r, d, {}), "no residuals"),
        (lambda r, d: (r, 0 * d, {}), "constant"),
        (lambda r, d: (r[:5], d[:5], {}), "too few"),
        (lambda r, d: (r, d, {"groups": np.repeat([0, 1], 20)}), "too few groups"),
        (lambda r, d: (r, d, {"strata": np.arange(40)}), "smallest stratum"),
    ],
)
def test_what_is_not_possible_is_said(change, reason):
    rng = np.random.default_rng(0)
    residuals, d, settings = change(rng.normal(size=40), rng.normal(size=(40, 3)))
    found = added_information_of_residuals(residuals, d, **settings)
    assert np.isnan(found.p_value)
    assert reason in found.reason


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    h, d, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)), np.arange(30) % 2
    with pytest.raises(ValueError, match="d has missing or infinite values in 1 of 30 rows"):
        added_information(h, np.where(np.arange(60).reshape(30, 2) == 4, np.nan, d), y)
    with pytest.raises(ValueError, match="only the class"):
        added_information(h, d, 0 * y)
    with pytest.raises(ValueError, match="method must be"):
        added_information(h, d, y, method="magic")
    with pytest.raises(ValueError, match="30 outcomes but d has 29"):
        added_information(h, d[:-1], y)
