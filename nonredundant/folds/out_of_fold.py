"""Out-of-fold responses of all classifiers, one column per repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nonredundant.folds.fitting import Fitted
from nonredundant.folds.splits import Fold

#: The number of the fold of a sample that no fold of a repeat holds out.
NOT_HELD_OUT = -1


@dataclass(frozen=True)
class OutOfFold:
    """What every classifier predicted for the samples that its folds held out.

    Attributes
    ----------
    folds : int array of shape (n_samples, n_repeats)
        The fold that held a sample out; -1 if none did.
    responses : dict of (str, str) to array of shape (n_samples, n_repeats, n_columns)
        Responses by feature set and classifier; NaN where there is none.
    """

    folds: np.ndarray
    responses: dict[tuple[str, str], np.ndarray]

    def score(self, feature_set: str, classifier: str) -> np.ndarray:
        """Return the score of the second class, or the risk, shape (n_samples, n_repeats)."""
        return self.responses[feature_set, classifier][..., -1]

    def mean(self, feature_set: str, classifier: str) -> np.ndarray:
        """Return the responses averaged over repeats; NaN for samples that were never held out."""
        values = self.responses[feature_set, classifier]
        held = (self.folds != NOT_HELD_OUT)[..., None]
        n_held = held.sum(axis=1)
        total = np.where(held, values, 0.0).sum(axis=1)
        return np.divide(total, n_held, out=np.full_like(total, np.nan), where=n_held > 0)


def collect(folds: Sequence[Fold], n: int, fitted: Sequence[Fitted]) -> OutOfFold:
    """Collect the out-of-fold responses of `n` samples.

    Where the folds of a repeat overlap, as in random splits, every fold has a column of its own.
    """
    columns = _columns(folds)
    numbers = np.full((n, max(columns.values()) + 1), NOT_HELD_OUT)
    places = {}
    for one in folds:
        key = one.repeat, one.fold
        places[key] = one.test, columns[key]
        numbers[one.test, columns[key]] = one.fold
    responses: dict[tuple[str, str], np.ndarray] = {}
    for fit in fitted:
        rows, column = places[fit.fold.repeat, fit.fold.fold]
        shape = (*numbers.shape, fit.response.shape[1])
        pair = fit.feature_set, fit.classifier
        values = responses.setdefault(pair, np.full(shape, np.nan))
        values[rows, column] = fit.response
    return OutOfFold(numbers, responses)


def _columns(folds: Sequence[Fold]) -> dict[tuple[int, int], int]:
    """Return the column of each fold."""
    overlapping = any(
        len(held) != len(np.unique(held))
        for repeat in {one.repeat for one in folds}
        for held in [np.concatenate([one.test for one in folds if one.repeat == repeat])]
    )
    if overlapping:
        return {(one.repeat, one.fold): i for i, one in enumerate(folds)}
    return {(one.repeat, one.fold): one.repeat for one in folds}
