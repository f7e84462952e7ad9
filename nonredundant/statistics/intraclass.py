"""Intraclass correlation of repeated measurements, of many columns at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import f as f_law

#: The models of McGraw & Wong 1996 that are computed.
KINDS = ("ICC(1,1)", "ICC(3,1)")
#: A column varies if its deviations from its mean exceed this share of its largest number.
_ROUNDING = 1e-12


class IntraclassCorrelation(NamedTuple):
    """Intraclass correlations, one value per column in each array.

    Attributes
    ----------
    icc, low, high : float array of shape (n_columns,)
        Estimates, and their two-sided intervals.
    n_subjects : int array of shape (n_columns,)
        Number of subjects that count.
    n_repeats : float array of shape (n_columns,)
        Mean number of their measurements.

    Examples
    --------
    >>> import numpy as np
    >>> found = intraclass_correlation(np.array([[1.0, 1.1], [2.0, 1.9], [3.0, 3.0]]))
    >>> int(found.n_subjects.item()), float(found.n_repeats.item())
    (3, 2.0)
    """

    icc: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_subjects: np.ndarray
    n_repeats: np.ndarray


def intraclass_correlation(
    values: np.ndarray, kind: str = "ICC(1,1)", *, confidence: float = 0.95
) -> IntraclassCorrelation:
    """Compute the share of variance that lies between subjects, not between their measurements.

    Parameters
    ----------
    values : array of shape (n_subjects, n_repeats) or (n_subjects, n_repeats, n_columns)
        Repeated measurements; what is not a finite number is missing.
    kind : {"ICC(1,1)", "ICC(3,1)"}, default="ICC(1,1)"
        "ICC(1,1)": absolute agreement, where the repeats are exchangeable (one-way model). A
        shift of all subjects in one repeat counts against a column. "ICC(3,1)": consistency,
        where the k-th repeat is the same one for all subjects, such as a reader or a perturbation
        (two-way model); its shift does not count.
    confidence : float, default=0.95
        Coverage of the intervals.

    Returns
    -------
    IntraclassCorrelation
        Estimates with intervals. NaN for columns that do not vary, or with fewer than two
        subjects.

    Raises
    ------
    ValueError
        If the array has another shape, or a parameter is out of range.

    Notes
    -----
    McGraw & Wong 1996 (doi 10.1037/1082-989X.1.1.30), their cases 1 and 3 (C,1); intervals from
    the law of F, exact for normal values. Missing measurements: ICC(1,1) takes all subjects with
    two or more, the number of measurements being n₀ of the unbalanced analysis of variance (Searle
    1971), for which intervals are approximate; ICC(3,1) takes the subjects without a gap.
    Subjects must be independent: lesions of one patient make intervals too narrow.

    Examples
    --------
    Six subjects and four judges (Shrout & Fleiss 1979, table 2):

    >>> import numpy as np
    >>> scores = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8],
    ...                    [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    >>> for kind in ("ICC(1,1)", "ICC(3,1)"):
    ...     found = intraclass_correlation(scores, kind)
    ...     print(kind, *(f"{one[0]:.2f}" for one in found[:3]))
    ICC(1,1) 0.17 -0.13 0.72
    ICC(3,1) 0.71 0.34 0.95
    """
    values = np.asarray(values, dtype=float)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim != 3 or values.shape[1] < 2:
        raise ValueError(
            "values must have the shape (n_subjects, n_repeats) or (n_subjects, n_repeats, "
            f"n_columns) with two or more repeats, got {values.shape}"
        )
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {list(KINDS)}, got {kind!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
    known = np.isfinite(values)
    known &= known.sum(axis=1, keepdims=True) >= (2 if kind == "ICC(1,1)" else values.shape[1])
    n = known.any(axis=1).sum(axis=0)
    k = known.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        centred, varies = _centred(values, known)
        parts = _one_way if kind == "ICC(1,1)" else _two_way
        between, within, df, size = parts(centred, known)
        ratio = np.where(varies & (n > 1), between / within, np.nan)
        tail = (1 + confidence) / 2
        low = ratio / f_law.ppf(tail, n - 1, df)
        high = ratio * f_law.ppf(tail, df, n - 1)
        icc, low, high = (
            np.where(one == np.inf, 1.0, (one - 1) / (one + size - 1)) for one in (ratio, low, high)
        )
        mean = k.sum(axis=0) / n
    return IntraclassCorrelation(icc, low, high, n_subjects=n, n_repeats=mean)


def _centred(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return deviations from the mean of a column, 0 for gaps, and whether the column varies."""
    filled = np.where(known, values, 0.0)
    scale = np.abs(filled).max(axis=(0, 1), initial=0)
    # Numbers such as energies of 1e200 have no squares.
    filled = filled / np.where(scale > 0, scale, 1.0)
    mean = filled.sum(axis=(0, 1)) / known.sum(axis=(0, 1))
    centred = np.where(known, filled - mean, 0.0)
    return centred, np.abs(centred).max(axis=(0, 1), initial=0) > _ROUNDING


def _one_way(
    centred: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean squares between and within subjects, degrees of freedom within, and n₀."""
    k = known.sum(axis=1)
    n, total = (k > 0).sum(axis=0), k.sum(axis=0)
    means = centred.sum(axis=1) / np.where(k > 0, k, 1)
    between = (k * means**2).sum(axis=0) / (n - 1)
    left = np.where(known, centred - means[:, None], 0.0)
    within = (left**2).sum(axis=(0, 1)) / (total - n)
    return (
        between,
        _without_rounding(within),
        total - n,
        (total - (k**2).sum(axis=0) / total) / (n - 1),
    )


def _two_way(
    centred: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean squares of subjects and residuals, their degrees of freedom, and repeats."""
    k = known.shape[1]
    complete = known[:, 0]
    n = complete.sum(axis=0)
    subjects, repeats = centred.mean(axis=1), centred.sum(axis=0) / n
    between = k * (subjects**2).sum(axis=0) / (n - 1)
    left = np.where(known, centred - subjects[:, None] - repeats[None], 0.0)
    df = (n - 1) * (k - 1)
    within = (left**2).sum(axis=(0, 1)) / df
    return between, _without_rounding(within), df, np.full(n.shape, float(k))


def _without_rounding(within: np.ndarray) -> np.ndarray:
    """Return mean squares of scaled values, 0 where they are nothing but rounding."""
    return np.where(within > _ROUNDING**2, within, 0.0)
