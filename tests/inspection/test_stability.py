"""Latents under other seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

from nonredundant import LesionTable
from nonredundant.inspection import latent_atlas, latent_stability


class Columns(TransformerMixin, BaseEstimator):
    """A stand-in whose first latent is always the same and whose second is noise of its seed."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw the noise."""
        self.noise_ = np.random.default_rng(self.random_state).normal(size=len(X))
        return self

    def transform(self, X):
        """Return the two columns."""
        return np.c_[X.features.iloc[:, 0], self.noise_]

    def get_feature_names_out(self, input_features=None):
        """Name them as the family does."""
        return np.array(["latent00", "latent01"], dtype=object)


def test_what_comes_back_is_told_from_what_does_not():
    table = LesionTable(pd.DataFrame({"a": np.random.default_rng(9).normal(size=200)}))
    found = latent_stability(Columns(0).fit(table), table, n_fits=3, random_state=0)
    assert found.table["comes_back"].tolist() == [True, False]
    np.testing.assert_allclose(found.table["matched"], [1.0, 0.0], atol=0.2)
    np.testing.assert_allclose(found.table["recovered"], [1.0, 0.0], atol=0.1)
    assert found.canonical.shape == (3, 2)
    assert found.chance < 0.2
    with pytest.raises(ValueError, match="n_fits"):
        latent_stability(Columns(0).fit(table), table, n_fits=0)


def test_stability_goes_into_the_atlas_and_leaves_the_estimator_alone(fitted):
    table, _, cvae = fitted
    before = cvae.transform(table)
    found = latent_stability(cvae, table, n_fits=1, random_state=1)
    np.testing.assert_array_equal(cvae.transform(table), before)
    # Side and width are found under every seed, though not in the same coordinates.
    assert found.canonical[0, :2].min() > 0.9
    atlas = latent_atlas(cvae, table, stability=found)
    pd.testing.assert_series_equal(atlas.table["comes_back"], found.table["comes_back"])
