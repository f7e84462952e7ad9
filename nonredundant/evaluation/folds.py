"""The outer and inner splits of cross-validation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedGroupKFold, StratifiedKFold

#: Inner cross-validation is repeated until about this many samples have been scored.
_INNER_SCORES = 160


@dataclass(frozen=True)
class Fold:
    """One split: positions of samples, and the random seed of all fits in it."""

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray
    seed: int


def make_folds(
    y: np.ndarray,
    *,
    cv: Any = 5,
    n_repeats: int = 1,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> list[Fold]:
    """Make the folds of a cross-validation.

    Parameters
    ----------
    y : int array of shape (n_samples,)
        Positions of the classes.
    cv : int or splitter
        Number of stratified folds, or a scikit-learn splitter.
    n_repeats : int
        Repeats, for an int `cv`.
    groups : array of shape (n_samples,), optional
        Samples of one group are never on both sides.
    seed : int
        Seed of the shuffles and of the folds' seeds.

    Returns
    -------
    list of Fold
        Repeat by repeat.

    Raises
    ------
    ValueError
        If a class has fewer samples (or groups) than folds, a class is missing on either side
        of a fold, or a splitter divides a group.
    """
    if isinstance(cv, Integral):
        splits = list(_stratified(y, int(cv), n_repeats, groups, seed))
        n_splits = int(cv)
    else:
        with warnings.catch_warnings():
            # A splitter that ignores groups raises an error below if it divides one.
            warnings.filterwarnings("ignore", "The groups parameter is ignored")
            splits = list(cv.split(np.zeros((len(y), 1)), y, groups))
        n_splits = _splits_per_repeat(cv, len(splits))
    folds = []
    for i, (train, test) in enumerate(splits):
        repeat, fold = divmod(i, n_splits)
        _check_split(y, groups, train, test, f"fold {fold} of repeat {repeat}")
        own = np.random.SeedSequence([seed, repeat, fold]).generate_state(1)[0]
        folds.append(Fold(repeat, fold, np.sort(train), np.sort(test), int(own % (2**31 - 1))))
    return folds


def _stratified(
    y: np.ndarray, n_splits: int, n_repeats: int, groups: np.ndarray | None, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield stratified folds that keep groups whole."""
    if n_splits < 2 or n_repeats < 1:
        raise ValueError(
            f"cv must be at least 2 and n_repeats at least 1, got cv={n_splits} and "
            f"n_repeats={n_repeats}"
        )
    smallest, unit = _smallest_class(y, groups)
    if smallest < n_splits:
        raise ValueError(
            f"the rarest class has {smallest} {unit} but cv={n_splits} folds need one each: "
            f"use cv={max(2, smallest)} or fewer, or collect more samples"
        )
    if groups is None:
        shuffled = RepeatedStratifiedKFold(
            n_splits=n_splits, n_repeats=n_repeats, random_state=seed
        )
        yield from shuffled.split(np.zeros(len(y)), y)
        return
    for repeat in range(n_repeats):
        grouped = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed + repeat)
        yield from grouped.split(np.zeros(len(y)), y, groups)


def _smallest_class(y: np.ndarray, groups: np.ndarray | None) -> tuple[int, str]:
    """Return the number of samples, or of groups, of the rarest class, and their name."""
    if groups is None:
        return int(np.bincount(y).min()), "samples"
    return min(len(np.unique(groups[y == k])) for k in np.unique(y)), "groups"


def _splits_per_repeat(cv: Any, n: int) -> int:
    """Return the number of splits per repeat of a splitter with `n` splits in all."""
    repeats = getattr(cv, "n_repeats", None)
    return n // int(repeats) if isinstance(repeats, Integral) and repeats else n


def _check_split(
    y: np.ndarray, groups: np.ndarray | None, train: np.ndarray, test: np.ndarray, where: str
) -> None:
    """Raise a ValueError if a split leaks samples or groups, or cannot be scored."""
    shared = np.intersect1d(train, test)
    if len(shared):
        raise ValueError(
            f"{where}: samples {shared[:5].tolist()} are in both the training and the test part"
        )
    if groups is not None:
        both = np.intersect1d(groups[train], groups[test])
        if len(both):
            raise ValueError(
                f"{where}: groups {both[:5].tolist()} are on both sides; use a splitter that "
                "keeps groups whole, such as StratifiedGroupKFold, or an int"
            )
    for side, rows in (("training", train), ("test", test)):
        missing = np.setdiff1d(y, y[rows])
        if len(missing):
            raise ValueError(
                f"{where}: its {side} part of {len(rows)} samples lacks class "
                f"{missing.tolist()}; use fewer folds or a stratified splitter"
            )


def inner_splits(
    y: np.ndarray, groups: np.ndarray | None, seed: int, *, n_splits: int = 5
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Make the splits that tune a classifier on training samples, repeated in small cohorts.

    Splits that lack a class on either side are left out. If no split is left, as may happen
    where few groups hold a class, fewer and larger parts are tried; the list is empty if none of
    them holds every class on both sides.
    """
    n_repeats = max(1, min(4, math.ceil(_INNER_SCORES / len(y))))
    for n in range(max(2, min(n_splits, _smallest_class(y, groups)[0])), 1, -1):
        found = [s for r in range(n_repeats) for s in _parts(y, groups, n, seed + r)]
        kept = [s for s in found if _has_all(y, s)]
        if kept:
            return kept
    return []


def cross_fitting_splits(
    y: np.ndarray, groups: np.ndarray | None, seed: int, *, n_splits: int = 5
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Make splits whose test parts hold every training sample once.

    Raises
    ------
    ValueError
        If all samples are of one group.
    """
    if groups is not None and len(np.unique(groups)) < 2:
        raise ValueError(
            "a network with a label term (gamma > 0) encodes training samples by networks that "
            "did not see their group, and the training samples of a fold are of one group: set "
            "gamma=0, or use folds with more groups"
        )
    return _parts(y, groups, max(2, min(n_splits, _smallest_class(y, groups)[0])), seed)


def _parts(
    y: np.ndarray, groups: np.ndarray | None, n_splits: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split samples into stratified parts that keep groups whole; empty parts are left out."""
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    with warnings.catch_warnings():
        # A class of one sample or group cannot be in two parts.
        warnings.filterwarnings("ignore", "The least populated class")
        split = splitter(n_splits, shuffle=True, random_state=seed).split(y[:, None], y, groups)
        return [(train, test) for train, test in split if len(train) and len(test)]


def _has_all(y: np.ndarray, split: Sequence[np.ndarray]) -> bool:
    """Return whether both sides of a split contain every class."""
    n = len(np.unique(y))
    return all(len(np.unique(y[rows])) == n for rows in split)


def smallest_class(y: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]]) -> int:
    """Return the size of the rarest class in the training part of any split, or in all rows."""
    return min(int(np.bincount(y[train]).min()) for train, _ in [*splits, (np.arange(len(y)),) * 2])
