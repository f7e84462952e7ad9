"""Latents whose mean and spread no longer follow the features."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from nonredundant.models.kernel_ridge import KernelRidge
from nonredundant.models.residualiser import Residualiser, sample_folds


def make_pair(n, seed=0):
    """Return features and latents of which the first follows squares and products of them."""
    rng = np.random.default_rng(seed)
    h = pd.DataFrame(rng.normal(size=(n, 4))).add_prefix("h")
    extra = rng.normal(size=(n, 3))
    spread = np.exp(0.7 * h["h1"].to_numpy())
    curved = h["h0"] ** 2 + h["h1"] * h["h2"]
    d = np.column_stack([curved + extra[:, 0], h["h3"] + extra[:, 1], spread * extra[:, 2]])
    return h, d, extra


def test_residuals_are_free_of_squares_and_products_of_h():
    (h, d, _), (new, latents, extra) = make_pair(400), make_pair(400, 1)
    left = Residualiser().fit(h, d).transform(new, latents)
    curves = new["h0"] ** 2, new["h1"] * new["h2"]
    assert all(spearmanr(latents[:, 0], curve)[0] > 0.35 for curve in curves)
    assert all(abs(spearmanr(left[:, 0], curve)[0]) < 0.2 for curve in curves)
    assert np.corrcoef(left[:, 0], extra[:, 0])[0, 1] > 0.85
    assert abs(np.corrcoef(left[:, 1], new["h3"])[0, 1]) < 0.15


def test_the_spread_of_residuals_does_not_follow_h():
    (h, d, _), (new, latents, extra) = make_pair(400), make_pair(400, 1)
    left = Residualiser().fit(h, d).transform(new, latents)
    before, after = (spearmanr(np.abs(x[:, 2]), new["h1"])[0] for x in (latents, left))
    assert before > 0.5
    # Unlike the mean, a spread of 400 rows is known roughly, and what is not known is left.
    assert abs(after) < before / 2
    assert np.corrcoef(left[:, 2], extra[:, 2])[0, 1] > 0.95


def test_nothing_is_lost():
    h, d, _ = make_pair(60)
    model = Residualiser().fit(h, d)
    np.testing.assert_allclose(model.inverse(h, model.transform(h, d)), d, atol=1e-12)


def test_noise_is_left_nearly_as_it_is():
    rng = np.random.default_rng(0)
    h, d = pd.DataFrame(rng.normal(size=(300, 5))).add_prefix("h"), rng.normal(size=(300, 4))
    left = Residualiser().fit(h, d).transform(h, d)
    assert min(np.corrcoef(left[:, j], d[:, j])[0, 1] for j in range(4)) > 0.97


def test_residuals_do_not_depend_on_the_unit_of_a_latent():
    h, d, _ = make_pair(80)
    one = Residualiser().fit(h, d).transform(h, d)
    other = Residualiser().fit(h, 1000 * d).transform(h, 1000 * d)
    np.testing.assert_allclose(other, 1000 * one, rtol=1e-6, atol=1e-6)


def test_residuals_of_training_rows_have_the_law_of_new_ones():
    """A flexible regression fitted to few rows takes up noise, but not of rows it has not seen."""
    ratios = []
    for seed in range(5):
        (h, d, _), (new, latents, _) = make_pair(150, seed), make_pair(2000, seed + 100)
        model = Residualiser().fit(h, d)
        own, others = model.transform(h, d), model.transform(new, latents)
        ratios.append(np.median(np.abs(own), axis=0) / np.median(np.abs(others), axis=0))
    assert np.mean(ratios, axis=0) == pytest.approx(1.0, abs=0.15)


def test_rows_are_recognised_in_any_order_and_number():
    h, d, _ = make_pair(60)
    model = Residualiser().fit(h, d)
    whole = model.transform(h, d)
    np.testing.assert_allclose(model.transform(h.iloc[[7, 3]], d[[7, 3]]), whole[[7, 3]])
    moved = model.transform(h.iloc[[7]] + 1e-3, d[[7]])
    assert 1e-3 < abs(moved - whole[[7]]).max() < 1.0


def test_samples_with_the_same_features_are_mapped_alike():
    rng = np.random.default_rng(0)
    h = pd.DataFrame({"sex": np.arange(100) % 2})
    d = h.to_numpy() + rng.normal(size=(100, 1))
    left = Residualiser().fit(h, d).transform(h, d)
    assert d[1::2].mean() - d[::2].mean() > 0.7
    assert abs(left[1::2].mean() - left[::2].mean()) < 0.3
    # One line per sex: the order of rows is kept.
    assert all((np.argsort(left[s::2, 0]) == np.argsort(d[s::2, 0])).all() for s in (0, 1))


def test_lesions_of_a_sample_share_a_fold():
    sample = np.repeat(np.arange(30), [1, 2, 3] * 10)
    folds = sample_folds(sample)
    assert len(folds) == len(sample)
    assert all(len(np.unique(folds[sample == one])) == 1 for one in range(30))
    assert len(np.unique(folds)) == 5


def test_copies_of_a_lesion_do_not_make_its_noise_predictable():
    """With copies in other folds, the noise of each sample would be fitted as if it were a mean."""
    rng = np.random.default_rng(0)
    sample = np.repeat(np.arange(60), 5)
    h = pd.DataFrame(rng.normal(size=(60, 3))).add_prefix("h").iloc[sample].reset_index(drop=True)
    noise = rng.normal(size=(60, 1))[sample]
    kept = [
        np.corrcoef(Residualiser().fit(h, noise, groups).transform(h, noise)[:, 0], noise[:, 0])
        for groups in (sample, None)
    ]
    assert kept[0][0, 1] > 0.95
    assert kept[1][0, 1] < 0.8


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h[[]],
        lambda h: h.assign(h0=1.0)[["h0"]],
        lambda h: h.iloc[:9],
    ],
    ids=["no columns", "constant", "nine rows"],
)
def test_without_features_or_rows_enough_latents_stay_as_they_are(change):
    h, d, _ = make_pair(40)
    h = change(h)
    d = d[: len(h)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        left = Residualiser().fit(h, d).transform(h, d)
    np.testing.assert_array_equal(left, d)


def test_ten_rows_missing_values_and_a_constant_latent_give_finite_residuals():
    h, d, _ = make_pair(10)
    h.iloc[2, 0] = np.nan
    d[:, 1] = 3.0
    model = Residualiser().fit(h, d)
    left = model.transform(h, d)
    assert np.isfinite(left).all()
    assert np.ptp(left[:, 1]) < 1e-9
    assert model.transform(h.iloc[:1], d[:1]).shape == (1, 3)


def test_latents_that_are_not_numbers_are_refused():
    h, d, _ = make_pair(12)
    d[3, 0] = np.nan
    with pytest.raises(ValueError, match="rows without an image"):
        Residualiser().fit(h, d)
    with pytest.raises(ValueError, match="h has 11 rows but d has 12"):
        Residualiser().fit(h.iloc[1:], d)


def test_a_kernel_ridge_of_many_rows_needs_few_landmarks():
    rng = np.random.default_rng(0)
    h = rng.normal(size=(3000, 2))
    truth = np.sin(2 * h[:, :1]) + h[:, 1:] ** 2
    y = truth + 0.3 * rng.normal(size=(3000, 1))
    model = KernelRidge(n_landmarks=100)
    left_out = model.fit(h, y, np.arange(3000) % 5)
    assert len(model.landmarks_) == 100
    assert np.corrcoef(left_out[:, 0], truth[:, 0])[0, 1] > 0.99
    inner = np.abs(h).max(axis=1) < 2
    np.testing.assert_allclose(model.predict(h)[inner], left_out[inner], atol=0.3)


def test_kernel_ridge_is_the_textbook_formula():
    rng = np.random.default_rng(0)
    h, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 1))
    y += 2 * h[:, :1]
    model = KernelRidge()
    model.fit(h, y, np.arange(40) % 5)
    candidates = []
    distances = ((h[:, None] - h[None]) ** 2).sum(axis=2)
    median = np.sqrt(np.median(distances[np.triu_indices(40, 1)]))
    gaussian = [np.exp(-distances / (2 * (width * median) ** 2)) for width in (0.5, 1, 2, 4)]
    for kernel in (*gaussian, (1 + 2 * h @ h.T / median**2) ** 2 / 4):
        for penalty in np.logspace(-2, 3, 11):
            solved = np.linalg.solve(kernel + penalty * np.eye(40), y - y.mean())
            candidates.append(kernel @ solved + y.mean())
    # Landmarks drop directions of rounding error.
    assert min(abs(model.predict(h) - one).max() for one in candidates) < 5e-3
