"""Correlations of latents with features, and with the latents of another fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.linalg import subspace_angles
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm, spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.statistics.multiplicity import holm


def rank_correlations(latents: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Compute Spearman's correlation of each latent with each feature.

    Parameters
    ----------
    latents, features : DataFrame of shape (n_lesions, n_columns)
        Values of the same lesions, in the same order.

    Returns
    -------
    DataFrame
        `latent, feature, correlation, low, high, p_value, p_holm`; constant columns are
        left out. 95 % intervals by Fisher's z with Bonett & Wright's variance.
    """
    left = latents.loc[:, latents.nunique() > 1]
    right = features.loc[:, features.nunique() > 1]
    columns = ["latent", "feature", "correlation", "low", "high", "p_value", "p_holm"]
    if left.empty or right.empty:
        return pd.DataFrame(columns=columns)
    parts = []
    for name in right:
        known = right[name].notna().to_numpy()
        values = right[name].to_numpy(dtype=float)[known]
        for latent in left:
            r, p = spearmanr(left[latent].to_numpy()[known], values)
            parts.append((latent, name, r, p, known.sum()))
    found = pd.DataFrame(parts, columns=["latent", "feature", "correlation", "p_value", "n"])
    r = found["correlation"].clip(-1 + 1e-12, 1 - 1e-12)
    half = norm.ppf(0.975) * np.sqrt((1 + r**2 / 2) / (found["n"] - 3))
    found["low"], found["high"] = np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)
    found["p_holm"] = holm(found["p_value"])
    return found[columns]


def matched_correlations(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match the columns of two matrices by absolute correlation; compute canonical correlations.

    Parameters
    ----------
    a, b : array of shape (n_rows, n_columns)
        Two matrices with the same rows.

    Returns
    -------
    matched : array of shape (n_columns,)
        Absolute correlation of each column of a with its partner in b, by the assignment with the
        largest sum; 0 for constants.
    canonical : array of shape (n_columns,)
        Cosines of the angles between the two centred column spaces, in descending order.
    """
    a, b = (x - x.mean(axis=0) for x in (a, b))
    lengths = np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))
    size = np.abs(a.T @ b) / np.where(lengths > 0, lengths, np.inf)
    rows, partners = linear_sum_assignment(size, maximize=True)
    return size[rows, partners], np.sort(np.cos(subspace_angles(a, b)))[::-1]


def held_out_r2(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Compute the held-out R² of each column of y from all columns of x, by ridge regression."""
    folds = KFold(min(5, len(x)), shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))
    predicted = cross_val_predict(model, x, y, cv=folds)
    return r2_score(y, predicted.reshape(y.shape), multioutput="raw_values")
