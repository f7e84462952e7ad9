"""The audit: what fresh estimators still find shared between h and d."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state

from nonredundant import _pairwise as pairwise
from nonredundant import _prediction as prediction
from nonredundant._audit_inputs import check_pair, leading_components, normal_scores
from nonredundant._perceptrons import cross_logits, splits

#: Every method and the unit of its estimate.
METHODS = {
    "r2-ridge": "R²",
    "r2-forest": "R²",
    "r2-mlp": "R²",
    "r2-boosting": "R²",
    "discriminator-auc": "AUC",
    "discriminator-nats": "nats",
    "ksg": "nats",
    "dcor": "correlation",
    "hsic": "correlation",
}

#: What a report holds unless told otherwise: all but boosting, which costs most and sees what
#: the forest sees.
DEFAULT_METHODS = tuple(method for method in METHODS if method != "r2-boosting")

#: Refits on permuted rows for the methods that train a model each time.
N_REFITS = 10


@dataclass
class _Audit:
    """One pair of matrices, prepared once for all methods."""

    h: np.ndarray
    d: np.ndarray
    n_permutations: int
    cv: int
    seed: int

    @cached_property
    def folds(self) -> prediction.Folds:
        """Folds that all cross-validated methods share."""
        kfold = KFold(self.cv, shuffle=True, random_state=self.seed)
        return list(kfold.split(self.d))

    @cached_property
    def orders(self) -> list[np.ndarray]:
        """The rows as they are, then in random orders."""
        rng = np.random.default_rng(self.seed)
        n = len(self.h)
        return [np.arange(n), *(rng.permutation(n) for _ in range(self.n_permutations))]

    @cached_property
    def few_orders(self) -> list[np.ndarray]:
        """The orders for methods that refit a model on each."""
        return self.orders[: N_REFITS + 1]

    @cached_property
    def targets(self) -> np.ndarray:
        """Leading components of h that hold 99 % of its variance."""
        return leading_components(self.h, explained=0.99, at_most=32)

    def r2(self, method: str) -> np.ndarray:
        """Return the cross-validated R² of h from d, for each order."""
        total = float(np.sum((self.h - self.h.mean(axis=0)) ** 2))
        if method == "r2-ridge":
            return prediction.ridge_r2(self.targets, total, self.d, self.folds, self.orders)
        predictor = {
            "r2-forest": prediction.forest_predictor,
            "r2-boosting": prediction.boosting_predictor,
            "r2-mlp": prediction.perceptron_predictor,
        }[method](self.d, self.folds, self.seed)
        return prediction.refitted_r2(predictor, self.targets, total, self.few_orders)

    @cached_property
    def discriminator(self) -> np.ndarray:
        """Held-out AUC and nats of a fresh discriminator, for each order."""
        scale = np.sqrt(np.mean(self.targets**2))
        rows = []
        for order in self.few_orders:
            rng = np.random.default_rng(self.seed)
            parts = splits(self.folds, rng)
            logits = cross_logits(self.targets[order] / scale, self.d, parts, rng)
            rows.append(np.mean([_judge(one) for one in logits], axis=0))
        return np.array(rows)

    def values(self, method: str) -> np.ndarray:
        """Return the estimate, then its values on permuted rows."""
        if method.startswith("r2-"):
            return self.r2(method)
        if method.startswith("discriminator-"):
            return self.discriminator[:, int(method.endswith("nats"))]
        if method == "dcor":
            return pairwise.distance_correlations(self.h, self.d, self.orders)
        if method == "hsic":
            return pairwise.hsic_correlations(self.h, self.d, self.orders)
        first, second = (leading_components(x, at_most=4) for x in (self.h, self.d))
        return pairwise.ksg_informations(first, second, self.orders, k=5)


def _judge(logits: np.ndarray) -> tuple[float, float]:
    """Return AUC and Donsker–Varadhan nats of held-out logits of all pairs."""
    n = len(logits)
    same = np.eye(n, dtype=bool)
    true, other = logits[same].astype(float), logits[~same].astype(float)
    ranks = rankdata(np.concatenate([true, other]))[:n]
    auc = (ranks.sum() - n * (n + 1) / 2) / (n * len(other))
    top = other.max()
    nats = true.mean() - top - np.log(np.mean(np.exp(other - top)))
    return float(auc), float(nats)


def redundancy_report(
    h: Any,
    d: Any,
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    n_permutations: int = 200,
    cv: int = 5,
    random_state: Any = None,
) -> pd.DataFrame:
    """Report what fresh estimators find shared between h and d, against chance.

    Parameters
    ----------
    h, d : array-like, DataFrame or LesionTable of shape (n, n_h), (n, n_d)
        Features of the same n samples, row by row, which neither was trained on.
    methods : sequence of str
        Names among `METHODS`.
    n_permutations : int, default=200
        Random orders of h's rows behind each null.
    cv : int, default=5
        Folds of the cross-validated methods.
    random_state : int, RandomState or None
        Seed of folds, permutations and fresh models.

    Returns
    -------
    DataFrame
        A row a method: `estimate, null_mean, null_95, p_value, unit`.
    """
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    audit = _Audit(*map(normal_scores, check_pair(h, d, cv)), n_permutations, cv, seed)
    rows = {method: (*_against_null(audit.values(method)), METHODS[method]) for method in methods}
    columns = ["estimate", "null_mean", "null_95", "p_value", "unit"]
    report = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    report.index.name = "method"
    return report


def redundancy_score(
    h: Any, d: Any, method: str, *, cv: int = 5, random_state: Any = None
) -> float:
    """Return one method's estimate of the redundancy, without its null."""
    report = redundancy_report(
        h, d, methods=[method], n_permutations=0, cv=cv, random_state=random_state
    )
    return float(report["estimate"].iloc[0])


def _against_null(values: np.ndarray) -> tuple[float, float, float, float]:
    """Return the estimate, mean and 95 % point of its null, and the p-value."""
    estimate, null = float(values[0]), values[1:]
    if len(null) < 2:
        return estimate, np.nan, np.nan, np.nan
    mean = float(null.mean())
    if len(null) > N_REFITS:
        p = (1 + np.sum(null >= estimate - 1e-12)) / (1 + len(null))
        return estimate, mean, float(np.quantile(null, 0.95)), float(p)
    spread = null.std(ddof=1) * np.sqrt(1 + 1 / len(null))
    law = t(df=len(null) - 1, loc=mean, scale=spread)
    return estimate, mean, float(law.ppf(0.95)), float(law.sf(estimate))
