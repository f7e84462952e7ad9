"""Small cohorts, cheap networks and cheap comparisons for the tests of comparisons."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression

from nonredundant import LesionTable, compare_feature_sets
from nonredundant.patients import LesionGraphClassifier

GRAPH = LesionGraphClassifier(max_epochs=2, device="cpu")
PLAIN = {"LR": LogisticRegression(C=0.1)}
TIMES = [("event", bool), ("time", float)]


class CheapNetwork(TransformerMixin, BaseEstimator):
    """Stands in for the network: the patch's left-right difference, then noise."""

    def __init__(self, dlr_size=3, *, independence="dcor", output="fused", random_state=None):
        self.dlr_size = dlr_size
        self.independence = independence
        self.output = output
        self.random_state = random_state

    def fit(self, X, y=None):
        self.half_ = X.patches.shape[-1] // 2
        self.noise_ = np.random.default_rng(self.random_state).normal(
            size=(X.patches[0].size, self.dlr_size - 1)
        )
        return self

    def transform(self, X):
        left, right = X.patches[..., : self.half_], X.patches[..., self.half_ :]
        axes = tuple(range(1, X.patches.ndim))
        difference = right.mean(axis=axes) - left.mean(axis=axes)
        flat = X.patches.reshape(len(X.patches), -1) @ self.noise_
        return np.column_stack([difference, flat])


class NoiseNetwork(CheapNetwork):
    """Stands in for a network that learned nothing: latents are noise."""

    def transform(self, X):
        seeds = (np.abs(X.patches).sum(axis=tuple(range(1, X.patches.ndim))) * 1e6).astype(int)
        rows = [np.random.default_rng(seed).normal(size=self.dlr_size) for seed in seeds]
        return np.array(rows)


def make_table(n=90, *, hidden=3.0, visible=2.0, n_noise=6, n_classes=2, seed=0):
    """Return lesions whose label lies in one feature and in the patches' left-right difference."""
    rng = np.random.default_rng(seed)
    seen, unseen = rng.normal(size=(2, n))
    logit = visible * seen + hidden * unseen + rng.logistic(size=n)
    y = np.searchsorted(np.quantile(logit, np.arange(1, n_classes) / n_classes), logit)
    patches = 0.5 * rng.normal(size=(n, 1, 8, 8)) + 3
    patches[:, :, :, 4:] += unseen[:, None, None, None]
    features = pd.DataFrame(
        rng.normal(size=(n, n_noise)), columns=[f"original_glcm_F{i}" for i in range(n_noise)]
    )
    features.insert(0, "original_firstorder_Maximum", np.exp(0.3 * seen))
    features.insert(0, "original_shape_VoxelVolume", np.exp(rng.normal(size=n)))
    masks = np.ones(patches.shape, dtype=bool)
    index = [f"case{i:03d}" for i in range(n)]
    return LesionTable(features, patches=patches, masks=masks, index=index), y


def make_rows(n=6, start=0):
    """Return a table of patients with ids."""
    rng = np.random.default_rng(start)
    features = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    return LesionTable(features, index=[f"P{k}" for k in range(start, start + n)])


def make_patients(n=60, seed=0):
    """Return patients with one to four lesions; the label lies in the hottest one."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(n), rng.integers(1, 5, n))
    uptake = rng.normal(size=len(sample))
    frame = pd.DataFrame(
        {
            "original_shape_VoxelVolume": np.exp(rng.normal(size=len(sample))),
            "original_firstorder_Mean": uptake,
            "original_firstorder_Maximum": uptake + 1,
        }
    )
    frame["age"] = rng.normal(60, 10, n)[sample]
    hottest = np.array([uptake[sample == i].max() for i in range(n)])
    patches = rng.normal(size=(len(sample), 1, 8, 8)) + uptake[:, None, None, None]
    table = LesionTable(
        frame,
        blocks={"age": "clinical"},
        patches=patches,
        sample=sample,
        positions=rng.normal(size=(len(sample), 3)) * 50,
        index=[f"patient{i:02d}" for i in range(n)],
    )
    return table, (hottest + 0.5 * rng.normal(size=n) > 0.7).astype(int), hottest


def make_times(hottest, seed=1):
    """Return times that are the shorter the hotter, a third of them censored."""
    rng = np.random.default_rng(seed)
    time = rng.exponential(np.exp(-2 * hottest))
    censoring = rng.exponential(np.median(time) * 3, len(time))
    y = np.empty(len(time), dtype=TIMES)
    y["event"], y["time"] = time <= censoring, np.minimum(time, censoring)
    return y


def compare(table, y, **settings):
    """Compare with cheap settings that a test may override."""
    defaults = {
        "cvae": CheapNetwork(),
        "classifiers": PLAIN,
        "baselines": False,
        "audit": False,
        "controls": False,
        "random_state": 0,
        "cv": 3,
        "n_repeats": 1,
    }
    return compare_feature_sets(table, y, **{**defaults, **settings})


def compare_patients(table, y, **settings):
    """Compare hand-crafted features of several lesions with cheap settings."""
    return compare(table, y, **{"feature_sets": ["HCR"], **settings})
