"""Scores of cases with a known AUC, and censored outcomes."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm


def draw_scores(rng, n=120, shift=1.0, *, ties=False):
    """Labels and two correlated binormal scores of the same cases."""
    y = np.repeat([0, 1], n // 2)
    shared = rng.normal(size=n) + shift * y
    scores = shared + 0.7 * rng.normal(size=(2, n))
    return y, (scores.round() if ties else scores)


def binormal_auc(shift):
    return norm.cdf(shift / np.sqrt(2 * (1 + 0.7**2)))


def censored(n, *, seed=0, whole=False, effect=1.0):
    """Return a covariate, who had the event, and the time; with `whole` many times tie."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    time, limit = rng.exponential(10 / np.exp(effect * x)), rng.exponential(15, size=n)
    observed = np.minimum(time, limit)
    return x, time <= limit, np.ceil(observed) if whole else observed
