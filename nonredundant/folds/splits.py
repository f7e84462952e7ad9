"""The outer and inner splits of cross-validation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedGroupKFold, StratifiedKFold

#: Folds are repeated until about this many samples have been held out, up to a number of repeats;
#: larger cohorts than `_ONE_REPEAT` need no repeats.
_REPEATED, _MOST_REPEATS, _ONE_REPEAT = 250, 10, 200
#: Number of the repeat and of the fold that trains on the whole cohort.
WHOLE = -1
#: With fewer samples inner cross-validation is done twice. Four times gained nothing where 50
#: samples of public tables trained (`benchmarks/inner_cv.py`).
_ONE_INNER_REPEAT = 160


@dataclass(frozen=True)
class Fold:
    """One split: positions of samples, and the random seed of all fits in it."""

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray
    seed: int

    @property
    def name(self) -> str:
        """Name of the fold in messages."""
        return f"fold {self.fold} of repeat {self.repeat}"


def whole_cohort(n: int, seed: int) -> Fold:
    """Return a split that trains on all samples and holds out none."""
    return Fold(WHOLE, WHOLE, np.arange(n), np.empty(0, dtype=int), seed)


def default_repeats(n: int) -> int:
    """Return the number of repeats of the folds of `n` samples.

    With 51 patients the mean AUC of five folds varies by 0.03 (standard deviation) with the seed
    of the folds; these repeats keep it below 0.02.

    Examples
    --------
    >>> default_repeats(51), default_repeats(150), default_repeats(200)
    (5, 2, 1)
    """
    return 1 if n >= _ONE_REPEAT else min(_MOST_REPEATS, math.ceil(_REPEATED / n))


def make_folds(
    y: np.ndarray,
    *,
    cv: Any = 5,
    n_repeats: int = 1,
    groups: np.ndarray | None = None,
    seed: int = 0,
    names: Any = None,
    every_class: bool = True,
    kept: np.ndarray | None = None,
    tried: Sequence[Fold] = (),
) -> list[Fold]:
    """Make the folds of a cross-validation.

    Parameters
    ----------
    y : int array of shape (n_samples,)
        Positions of the classes.
    cv : int, splitter or list of (train, test)
        Number of stratified folds, a scikit-learn splitter, or the positions of each fold.
    n_repeats : int
        Repeats, for an int `cv`.
    groups : array of shape (n_samples,), optional
        Samples of one group are never on both sides.
    seed : int
        Seed of the shuffles and of the folds' seeds.
    names : array-like, optional
        Names of the classes, for messages; the positions by default.
    every_class : bool
        Whether each class has to be on both sides of a fold. Quarters of a number need not be: they
        balance the folds, and are not what is scored.
    kept : bool array, optional
        Which of the samples that were given `y` is about; all by default.
    tried : sequence of Fold
        The folds of all samples that were given. A splitter that makes the same ones again, such
        as `PredefinedSplit`, names samples by their positions among these.

    Returns
    -------
    list of Fold
        Repeat by repeat.

    Raises
    ------
    ValueError
        If a class has fewer samples (or groups) than folds, a class is missing on either side
        of a fold, or a splitter divides a group.
    TypeError
        If `cv` is none of these.
    """
    named = np.arange(y.max(initial=0) + 1) if names is None else np.asarray(names)
    if isinstance(cv, Integral):
        splits = list(_stratified(y, int(cv), n_repeats, groups, seed, named))
        n_splits = int(cv)
    elif isinstance(cv, list):
        splits, n_splits = cv, len(cv)
    else:
        with warnings.catch_warnings():
            # A splitter that ignores groups raises an error below if it divides one.
            warnings.filterwarnings("ignore", "The groups parameter is ignored")
            splits = list(cv.split(np.zeros((len(y), 1)), y, groups))
        every = np.ones(len(y), dtype=bool)
        splits = _of_kept(splits, every if kept is None or not _are_same(splits, tried) else kept)
        n_splits = _splits_per_repeat(cv, len(splits))
    folds = []
    for i, (train, test) in enumerate(splits):
        repeat, fold = divmod(i, n_splits)
        place = f"fold {fold} of repeat {repeat}"
        _check_sides(groups, train, test, place)
        if every_class:
            _check_classes(y, train, test, place, named)
        own = _seed_of(seed, repeat, fold)
        folds.append(Fold(repeat, fold, np.sort(train), np.sort(test), own))
    return folds


def read_cv(cv: Any, kept: np.ndarray) -> Any:
    """Check `cv`, and convert splits that are given one by one to positions of kept samples.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, test)
        As scikit-learn accepts it; positions, or masks of all samples.
    kept : bool array of shape (n_samples,)
        The samples that could be extracted.

    Returns
    -------
    int, splitter or list of (train, test)
        What `make_folds` takes; positions count the kept samples.

    Raises
    ------
    TypeError
        If `cv` is none of these.
    ValueError
        If there is no split, or a split names samples that are not there.

    Examples
    --------
    >>> import numpy as np
    >>> read_cv([([0, 1], [2, 3])], np.array([True, False, True, True]))
    [(array([0]), array([1, 2]))]
    """
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        return cv
    if hasattr(cv, "split") and not isinstance(cv, str | bytes | type):
        return cv
    wanted = (
        "cv must be a number of folds, a scikit-learn splitter, a list of pairs (train, test) of "
        f"positions, or 'centre', got {cv!r}"
    )
    if isinstance(cv, str | bytes | type) or not isinstance(cv, Iterable):
        raise TypeError(wanted)
    pairs = list(cv)
    if not pairs:
        raise ValueError(f"{wanted}: it has no fold")
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise TypeError(wanted)
    return _of_kept(pairs, kept)


def _of_kept(splits: Iterable[Any], kept: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Convert splits of all samples to positions of the kept ones."""
    return [
        (
            _positions(train, kept, f"training part of fold {i}"),
            _positions(test, kept, f"test part of fold {i}"),
        )
        for i, (train, test) in enumerate(splits)
    ]


def _are_same(splits: Sequence[Any], folds: Sequence[Fold]) -> bool:
    """Return whether splits have the positions of folds."""
    return len(splits) == len(folds) and all(
        np.array_equal(np.sort(rows), known)
        for split, fold in zip(splits, folds, strict=True)
        for rows, known in zip(split, (fold.train, fold.test), strict=True)
    )


def _positions(rows: Any, kept: np.ndarray, where: str) -> np.ndarray:
    """Convert positions or a mask of all samples to positions of the kept ones."""
    rows = np.asarray(rows)
    n = len(kept)
    if rows.dtype == bool and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            f"cv: the {where} must hold integer positions, or a mask of the {n} samples, got "
            f"{rows.dtype} of shape {rows.shape}"
        )
    beyond = rows[(rows < 0) | (rows >= n)]
    if len(beyond):
        raise ValueError(
            f"cv: the {where} names the positions {beyond[:5].tolist()}, but there are {n} "
            f"samples, 0 to {n - 1}"
        )
    new = np.cumsum(kept) - 1
    return new[rows[kept[rows]]]


def _stratified(
    y: np.ndarray,
    n_splits: int,
    n_repeats: int,
    groups: np.ndarray | None,
    seed: int,
    names: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield stratified folds that keep groups whole."""
    if not isinstance(n_repeats, Integral):
        raise ValueError(f"n_repeats must be a whole number, got {n_repeats!r}")
    if n_splits < 2 or n_repeats < 1:
        raise ValueError(
            f"cv must be at least 2 and n_repeats at least 1, got cv={n_splits} and "
            f"n_repeats={n_repeats}"
        )
    _check_rarest(y, n_splits, groups, names)
    if groups is None:
        shuffled = RepeatedStratifiedKFold(
            n_splits=n_splits, n_repeats=n_repeats, random_state=seed
        )
        yield from shuffled.split(np.zeros(len(y)), y)
        return
    for repeat in range(n_repeats):
        grouped = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed + repeat)
        yield from grouped.split(np.zeros(len(y)), y, groups)


def _check_rarest(
    y: np.ndarray, n_splits: int, groups: np.ndarray | None, names: np.ndarray
) -> None:
    """Raise if a class cannot be in every fold, naming the rarest one and its size."""
    sizes = {int(k): _class_size(y, groups, k) for k in np.unique(y)}
    rarest = min(sizes, key=lambda k: sizes[k])
    size = sizes[rarest]
    if size >= n_splits:
        return
    unit = "samples" if groups is None else "groups"
    remedy = f"use cv={size} or fewer, or collect more samples"
    if size < 2:
        remedy = f"cross-validation needs at least 2: collect more {unit} of it, or leave it out"
    raise ValueError(
        f"the rarest class, {names.tolist()[rarest]!r}, has {size} "
        f"{unit if size != 1 else unit[:-1]} but cv={n_splits} folds need one each: {remedy}"
    )


def _class_size(y: np.ndarray, groups: np.ndarray | None, k: int) -> int:
    """Return the number of samples of a class, or of groups that hold it."""
    return int((y == k).sum()) if groups is None else len(np.unique(groups[y == k]))


def _smallest_class(y: np.ndarray, groups: np.ndarray | None) -> int:
    """Return the number of samples, or of groups, of the rarest class."""
    return min(_class_size(y, groups, k) for k in np.unique(y))


def _splits_per_repeat(cv: Any, n: int) -> int:
    """Return the number of splits per repeat of a splitter with `n` splits in all."""
    repeats = getattr(cv, "n_repeats", None)
    return n // int(repeats) if isinstance(repeats, Integral) and repeats else n


def _check_sides(
    groups: np.ndarray | None, train: np.ndarray, test: np.ndarray, where: str
) -> None:
    """Raise a ValueError if a split leaks samples or groups."""
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


def _check_classes(
    y: np.ndarray, train: np.ndarray, test: np.ndarray, where: str, names: np.ndarray
) -> None:
    """Raise a ValueError if a class is missing on either side of a split."""
    for side, rows in (("training", train), ("test", test)):
        missing = np.setdiff1d(y, y[rows])
        if len(missing):
            raise ValueError(
                f"{where}: its {side} part of {len(rows)} samples lacks class "
                f"{names[missing].tolist()}; use fewer folds or a stratified splitter"
            )


def inner_splits(
    y: np.ndarray, groups: np.ndarray | None, seed: int, *, n_splits: int = 5
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Make the splits that tune a classifier on training samples, repeated in small cohorts.

    Splits that lack a class on either side are left out. If no split is left, as may happen
    where few groups hold a class, fewer and larger parts are tried; the list is empty if none of
    them holds every class on both sides.
    """
    n_repeats = 2 if len(y) < _ONE_INNER_REPEAT else 1
    for n in range(max(2, min(n_splits, _smallest_class(y, groups))), 1, -1):
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
    return _parts(y, groups, max(2, min(n_splits, _smallest_class(y, groups))), seed)


def calibration_folds(
    y: np.ndarray, groups: np.ndarray | None, seed: int, *, n_splits: int
) -> list[Fold]:
    """Make stratified folds that hold every sample out once.

    There are fewer where the rarest class has fewer samples or groups, and none where the training
    part of a fold would lack a class.
    """
    n = min(n_splits, _smallest_class(y, groups))
    parts = _parts(y, groups, n, seed) if n > 1 else []
    if any(len(np.unique(y[train])) < len(np.unique(y)) for train, _ in parts):
        return []
    return [
        Fold(0, i, np.sort(train), np.sort(test), _seed_of(seed, 0, i))
        for i, (train, test) in enumerate(parts)
    ]


def _seed_of(seed: int, repeat: int, fold: int) -> int:
    """Return the random seed of all fits in a fold."""
    own = np.random.SeedSequence([seed, repeat, fold]).generate_state(1)[0]
    return int(own % (2**31 - 1))


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
