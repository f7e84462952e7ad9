"""Checked rows of h and d, and what several methods of the audit share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state

from nonredundant.metrics import predictability as prediction
from nonredundant.metrics.information import donsker_varadhan
from nonredundant.metrics.inputs import check_groups, check_pair, leading_components, normal_scores
from nonredundant.metrics.latents import latents_r2
from nonredundant.metrics.networks import cross_logits, splits
from nonredundant.metrics.nulls import N_REFITS
from nonredundant.metrics.pairs import LargestPair, largest_pair
from nonredundant.metrics.permutations import group_orders
from nonredundant.metrics.products import largest_product


@dataclass
class PreparedPair:
    """Checked and transformed h and d, with everything that methods share.

    Parameters
    ----------
    h, d : array of shape (n, n_h), (n, n_d)
        Normal scores of the columns that vary.
    n_permutations : int
        Permutations of the rows of h.
    cv : int
        Number of folds.
    seed : int
        Seed of folds, permutations and models.
    groups : int array of shape (n,)
        Group of each row, numbered from 0; rows of one group are permuted together and lie on
        one side of each fold.
    names : pair of list of str
        Names of the columns of h and d.
    """

    h: np.ndarray
    d: np.ndarray
    n_permutations: int
    cv: int
    seed: int
    groups: np.ndarray
    names: tuple[list[str], list[str]]

    @cached_property
    def folds(self) -> prediction.Folds:
        """Folds that all cross-validated methods share."""
        kfold = KFold(self.cv, shuffle=True, random_state=self.seed)
        numbers = np.arange(self.groups.max() + 1)
        return [
            (np.flatnonzero(np.isin(self.groups, a)), np.flatnonzero(np.isin(self.groups, b)))
            for a, b in kfold.split(numbers)
        ]

    @cached_property
    def orders(self) -> list[np.ndarray]:
        """Row orders of h: the true one, then random permutations of groups of equal size."""
        true = np.arange(len(self.h))
        return [true, *group_orders(self.groups, self.n_permutations, self.seed)]

    @cached_property
    def largest(self) -> LargestPair:
        """The largest dependence of any pair of columns, for each order."""
        return largest_pair(self.h, self.d, self.orders, self.names)

    @cached_property
    def product(self) -> LargestPair:
        """The largest correlation of a latent with a product of two columns, for each order."""
        return largest_product(self.h, self.d, self.orders, self.names)

    @cached_property
    def few_orders(self) -> list[np.ndarray]:
        """The first orders, for methods that refit a model for each one."""
        return self.orders[: N_REFITS + 1]

    @cached_property
    def targets(self) -> np.ndarray:
        """Leading principal components of h that hold 99 % of its variance, at most 32."""
        return leading_components(self.h, explained=0.99, at_most=32)

    @cached_property
    def total(self) -> float:
        """Sum of squares of h around its mean."""
        return float(np.sum((self.h - self.h.mean(axis=0)) ** 2))

    @cached_property
    def latents(self) -> np.ndarray:
        """Out-of-fold R² of each latent given h, for each order."""
        return latents_r2(self.h, self.d, self.groups, self.orders)

    @cached_property
    def discriminator(self) -> np.ndarray:
        """Held-out AUC and nats of a newly trained discriminator, for each of the few orders."""
        scale = np.sqrt(np.mean(self.targets**2))
        rows = []
        for order in self.few_orders:
            rng = np.random.default_rng(self.seed)
            parts = splits(self.folds, rng)
            logits = cross_logits(self.targets[order] / scale, self.d, parts, rng)
            rows.append(np.mean([_auc_and_nats(one) for one in logits], axis=0))
        return np.array(rows)


def _auc_and_nats(logits: np.ndarray) -> tuple[float, float]:
    """Return AUC and Donsker–Varadhan nats of held-out logits of all pairs."""
    same = np.eye(len(logits), dtype=bool)
    true, other = logits[same].astype(float), logits[~same].astype(float)
    return float(roc_auc_score(same.ravel(), logits.ravel())), donsker_varadhan(true, other)


def prepare(
    h: Any, d: Any, n_permutations: int, cv: int, random_state: Any, groups: Any
) -> PreparedPair:
    """Check and transform h and d."""
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    first, second = check_pair(h, d, cv)
    numbers = check_groups(groups, first.index, cv)
    names = [str(name) for name in first.columns], [str(name) for name in second.columns]
    left, right = (normal_scores(frame.to_numpy(dtype=float)) for frame in (first, second))
    return PreparedPair(left, right, n_permutations, cv, seed, numbers, names)
