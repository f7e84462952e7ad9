"""Conformal sets of classes: what a classifier cannot rule out, with a stated coverage.

Cross-conformal prediction within classes (Vovk 2015; Vovk, Gammerman & Shafer 2005, chapter 4.5).
It is a comparison of ranks, and what it needs are the out-of-fold predictions and the models of the
folds, with their networks, in the same file; MAPIE and crepes fit or wrap a classifier of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Probabilities that differ by less are equal: models loaded elsewhere differ by rounding.
_EQUAL = 1e-9


def conformal_p_values(y: Any, p: Any, folds: Any, p_new: Any) -> np.ndarray:
    """Compute how unusual new cases would be among the training cases of each class.

    The p-value of a class is the share, with the new case, of that class's training cases whose own
    class is given at most the probability that the new case has, both by the model of the fold that
    held the training case out. The classes with a p-value above 1 - c are a set that holds the
    class of a new case with probability c.

    Parameters
    ----------
    y : int array of shape (n_samples,)
        Positions of the classes of the training cases.
    p : array of shape (n_samples, n_classes)
        Their probabilities by the models of the folds that held them out.
    folds : int array of shape (n_samples,)
        The fold that held each of them out.
    p_new : array of shape (n_folds, n_new, n_classes)
        Probabilities of the new cases by the model of each fold; NaN for a case without any.

    Returns
    -------
    array of shape (n_new, n_classes)
        The p-values; NaN for a case without probabilities.

    Raises
    ------
    ValueError
        If shapes differ, a class or a fold is unknown, or a training case has no probability.

    Notes
    -----
    The training cases of a class and new cases of that class must be exchangeable: of the same
    population, measured alike, one case per patient. Then the probability is at least 2c - 1, less
    a term that falls with the number of cases per fold, whatever the classifier (Barber et al.
    2021, doi 10.1214/20-AOS1965; Romano, Sesia & Candès 2020, arXiv 2006.02544, theorem 3); it
    comes near that bound for classifiers that hinge on single cases alone, and is near c for
    others. A class of fewer than 1 / (1 - c) - 1 cases is in every set.

    References
    ----------
    Vovk 2015, Cross-conformal predictors, Ann. Math. Artif. Intell. 74, 9, doi
    10.1007/s10472-013-9368-4.

    Examples
    --------
    >>> p = [[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]]
    >>> found = conformal_p_values([0, 0, 1, 1], p, [0, 1, 0, 1], [[[0.7, 0.3]], [[0.7, 0.3]]])
    >>> found.round(2).tolist()
    [[0.67, 0.33]]
    """
    labels, places = np.asarray(y), np.asarray(folds)
    known, new = np.asarray(p, dtype=float), np.asarray(p_new, dtype=float)
    n, n_classes = known.shape
    if labels.shape != (n,) or places.shape != (n,) or new.ndim != 3 or new.shape[2] != n_classes:
        raise ValueError(
            f"y {labels.shape} and folds {places.shape} must have one entry for each row of p "
            f"{known.shape}, and p_new {new.shape} the same classes"
        )
    if not (np.isin(labels, range(n_classes)).all() and np.isin(places, range(len(new))).all()):
        raise ValueError(
            f"y must lie below {n_classes}, the number of classes, and folds below {len(new)}, "
            "the number of models"
        )
    if np.isnan(known).any():
        raise ValueError(f"{int(np.isnan(known).any(axis=1).sum())} of {n} rows of p are NaN")
    found = np.empty(new.shape[1:])
    for k in range(n_classes):
        own = labels == k
        as_strange = known[own, k, None] <= new[places[own], :, k] + _EQUAL
        found[:, k] = (1 + as_strange.sum(axis=0)) / (1 + own.sum())
    found[np.isnan(new).any(axis=(0, 2))] = np.nan
    return found
