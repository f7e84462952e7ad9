"""Whether features tell the centre that a sample is from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from nonredundant.metrics.permutations import group_orders

#: Centres with fewer samples are left out: each is split into training and held-out parts.
LEAST_SAMPLES = 5
_MOST_FOLDS = 5
#: Ridge penalty, relative to the mean variance of the samples.
_PENALTY = 1.0


class CentreCoding(NamedTuple):
    """How well the centre of new samples is predicted from features.

    Parameters
    ----------
    estimate : float
        Balanced accuracy on held-out samples: the mean over centres of the share that is assigned
        to its own; NaN if it is not estimable.
    null_mean, null_95 : float
        Mean and 95 % point where centres are permuted.
    p_value : float
        Share of permutations, this assignment included, with as high an accuracy.
    n_centres, n_samples : int
        What was predicted.
    detail : str
        Which centres were left out, or why nothing is estimable; empty without either.

    Examples
    --------
    >>> import numpy as np
    >>> centre_coding(np.zeros((4, 2)), list("abab")).detail
    'fewer than two centres have 5 independent samples or more'
    """

    estimate: float
    null_mean: float
    null_95: float
    p_value: float
    n_centres: int
    n_samples: int
    detail: str = ""


#: Positions of training and of held-out samples, and the features of all samples.
CentreFold = tuple[np.ndarray, np.ndarray, np.ndarray]


def centre_coding(
    features: Any,
    centre: Any,
    *,
    groups: Any = None,
    n_permutations: int = 200,
    random_state: int = 0,
) -> CentreCoding:
    """Predict the centre from features by cross-validation, and compare with permuted centres.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
        Hand-crafted or learned features; gaps are filled by the median of the training samples.
    centre : array-like of shape (n_samples,)
        The centre of each sample. Those with fewer than five samples are left out.
    groups : array-like of shape (n_samples,), optional
        Samples of one group, such as a patient, stay together.
    n_permutations : int, default=200
        Number of permutations.
    random_state : int, default=0
        Seed of folds and permutations.

    Returns
    -------
    CentreCoding
        Balanced accuracy, its null and p-value.

    Notes
    -----
    The classifier is linear: a ridge regression of the centres, then the nearest centre by its
    predictions. What it does not see, such as a centre that differs in spread alone, may still be
    there. Features may tell the centre since images do, or since patients do: a centre with larger
    tumours is known by volume, which no harmonisation should remove.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> centre = np.repeat(["Lyon", "Paris"], 40)
    >>> noise = rng.normal(size=(80, 3))
    >>> centre_coding(noise, centre).p_value > 0.05
    True
    >>> centre_coding(noise + 2.0 * (centre == "Lyon")[:, None], centre).estimate > 0.9
    True
    """
    values, names = np.asarray(features, dtype=float), np.asarray(centre)
    folds = centre_folds(names, groups, random_state)
    return coding_of(
        [(train, test, values) for train, test in folds],
        names,
        groups=groups,
        n_permutations=n_permutations,
        random_state=random_state,
    )


def centre_folds(centre: Any, groups: Any, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the samples of centres that have enough; no split if fewer than two have.

    Parameters
    ----------
    centre : array-like of shape (n_samples,)
        The centre of each sample.
    groups : array-like of shape (n_samples,) or None
        Samples that stay together.
    seed : int
        Seed of the shuffles.

    Returns
    -------
    list of (train, test)
        Positions among all samples.
    """
    numbers, kept, _ = _usable(centre, groups)
    if not len(kept):
        return []
    n_splits = _MOST_FOLDS
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    split = splitter(n_splits, shuffle=True, random_state=seed).split(
        kept[:, None], numbers[kept], None if groups is None else np.asarray(groups)[kept]
    )
    return [(kept[train], kept[test]) for train, test in split]


def coding_of(
    folds: Sequence[CentreFold],
    centre: Any,
    *,
    groups: Any = None,
    n_permutations: int = 200,
    random_state: int = 0,
) -> CentreCoding:
    """Predict centres from features that may differ between folds, as steps of a fold make them.

    Parameters
    ----------
    folds : sequence of (train, test, features)
        The splits of `centre_folds`, each with the features of all samples.
    centre, groups, n_permutations, random_state
        As for `centre_coding`.

    Returns
    -------
    CentreCoding
        Balanced accuracy, its null and p-value.
    """
    nan = float("nan")
    numbers, kept, detail = _usable(centre, groups)
    if not folds:
        reason = f"fewer than two centres have {LEAST_SAMPLES} independent samples or more"
        return CentreCoding(nan, nan, nan, nan, 0, 0, reason)
    units = np.arange(len(kept)) if groups is None else np.asarray(groups)[kept]
    units = np.unique(units, return_inverse=True)[1]
    orders = [np.arange(len(kept)), *group_orders(units, n_permutations, random_state)]
    # Every row is an order of the centres of the samples that are kept.
    labels = np.tile(numbers, (len(orders), 1))
    labels[:, kept] = [numbers[kept][order] for order in orders]
    k = int(numbers[kept].max()) + 1
    right = np.zeros((len(orders), k))
    for train, test, features in folds:
        smoother, own = _smoothers(features[train], features[test])
        targets = np.eye(k)[labels[:, train]]
        centroids = _centroids(own @ targets, targets)
        distance = np.square((smoother @ targets)[:, :, None] - centroids[:, None]).sum(axis=-1)
        hit = distance.argmin(axis=-1) == labels[:, test]
        right += np.einsum("ot,otk->ok", hit.astype(float), np.eye(k)[labels[:, test]])
    accuracy = (right / np.bincount(numbers[kept])).mean(axis=1)
    null = accuracy[1:]
    return CentreCoding(
        float(accuracy[0]),
        float(null.mean()),
        float(np.quantile(null, 0.95)),
        float((1 + (null >= accuracy[0] - 1e-12).sum()) / (1 + len(null))),
        k,
        len(kept),
        detail,
    )


def _usable(centre: Any, groups: Any) -> tuple[np.ndarray, np.ndarray, str]:
    """Return numbers of centres, the samples of those with enough groups, and the others."""
    names = pd.Series(np.asarray(centre)).astype(str)
    units = pd.Series(np.arange(len(names)) if groups is None else np.asarray(groups))
    counts = units.groupby(names.to_numpy()).nunique().sort_index()
    enough = counts.index[counts >= LEAST_SAMPLES]
    numbers = pd.Index(enough).get_indexer(names)
    kept = np.flatnonzero(numbers >= 0) if len(enough) > 1 else np.empty(0, dtype=int)
    few = [f"{name} ({n})" for name, n in counts.items() if n < LEAST_SAMPLES]
    detail = (
        f"left out, with fewer than {LEAST_SAMPLES} independent samples: {', '.join(few)}"
        if few
        else ""
    )
    return numbers, kept, detail


def _smoothers(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what maps targets of the training rows to predictions of test and training rows.

    It does not depend on the targets, so that one decomposition serves all permutations.
    """
    medians = pd.DataFrame(train).median().fillna(0.0).to_numpy()
    train, test = (np.where(np.isnan(rows), medians, rows) for rows in (train, test))
    spread = train.std(axis=0)
    varies = spread > 1e-9 * np.abs(train).max(axis=0, initial=0.0)
    n, p = len(train), max(int(varies.sum()), 1)
    mean = train[:, varies].mean(axis=0)
    z, new = ((rows[:, varies] - mean) / spread[varies] for rows in (train, test))
    inverse = np.linalg.inv(z @ z.T / p + _PENALTY * np.eye(n))
    # Targets are centred, and their means, which differ between the centres, are left out.
    inverse -= inverse.mean(axis=1, keepdims=True)
    return new @ z.T / p @ inverse, z @ z.T / p @ inverse


def _centroids(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the mean prediction of the training rows of each centre, for every order."""
    sums = np.einsum("ona,onk->oka", predicted, targets)
    return sums / np.maximum(targets.sum(axis=1), 1)[..., None]
