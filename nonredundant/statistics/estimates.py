"""Result types of estimates and tests, and checks of scores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nonredundant.statistics.notebook import record_html

#: Confidence level of all intervals.
LEVEL = 0.95
#: Square of the difference, in standard errors, at which half of the growth of its variance is
#: reached; fitted to simulated cohorts (`benchmarks/gain.py`).
_HALFWAY = 1.5
#: Errors and differences of shares of pairs below this are zero but for rounding.
ROUNDING = 1e-12


class Estimate(NamedTuple):
    """A value and its 95 % interval.

    Parameters
    ----------
    estimate : float
        The value.
    low, high : float
        Bounds of the interval; NaN if it is not estimable.
    reason : str
        Why the interval is not estimable; empty if it is.

    Examples
    --------
    >>> from nonredundant.statistics import delong_interval
    >>> found = delong_interval([0, 0, 0, 1, 1, 1], [0.1, 0.3, 0.6, 0.5, 0.8, 0.9])
    >>> round(found.estimate, 2), found.low < found.estimate < found.high
    (0.89, True)
    """

    estimate: float
    low: float
    high: float
    reason: str = ""

    def _repr_html_(self) -> str:
        """Return the fields for a notebook."""
        return record_html(self._asdict())


class Difference(NamedTuple):
    """A paired difference, its 95 % interval and two-sided p-value.

    Parameters
    ----------
    estimate : float
        The difference.
    low, high : float
        Bounds of the interval.
    p_value : float
        Two-sided p-value of no difference; like the bounds NaN if it is not estimable.
    reason : str
        Why interval and p-value are not estimable; empty if they are.

    Examples
    --------
    >>> from nonredundant.statistics import delong_test
    >>> y = [0, 0, 0, 0, 1, 1, 1, 1]
    >>> found = delong_test(
    ...     y, [0.1, 0.3, 0.6, 0.2, 0.5, 0.8, 0.9, 0.7], [0.4, 0.3, 0.6, 0.2, 0.5, 0.1, 0.9, 0.7]
    ... )
    >>> f"{found.estimate:+.3f} ({found.low:+.2f} to {found.high:+.2f})"
    '+0.250 (-0.24 to +0.74)'
    """

    estimate: float
    low: float
    high: float
    p_value: float
    reason: str = ""

    def _repr_html_(self) -> str:
        """Return the fields for a notebook."""
        return record_html(self._asdict())


def not_estimable(difference: float, reason: str) -> Difference:
    """Return a difference whose interval and p-value are not estimable.

    Parameters
    ----------
    difference : float
        The difference.
    reason : str
        Why its error is unknown.

    Returns
    -------
    Difference
        NaN but for the difference and the reason.

    Examples
    --------
    >>> not_estimable(0.0, "one fold").reason
    'one fold'
    """
    unknown = float("nan")
    return Difference(difference, unknown, unknown, unknown, reason)


def no_error(difference: float) -> str:
    """Return the reason why the error of a difference of two scores is zero.

    Parameters
    ----------
    difference : float
        The difference.

    Returns
    -------
    str
        The reason: either the two are the same, or one of them, such as a perfect score beside a
        constant one, is better by the same amount for every case.

    Examples
    --------
    >>> no_error(0.5)
    'the difference is the same for every case'
    """
    if abs(difference) > ROUNDING:
        return "the difference is the same for every case"
    return "both order all cases alike"


def t_difference(
    difference: float, error: float, df: float = float("inf"), *, growth: float = 1.0
) -> Difference:
    """Test a difference of known standard error by Student's t.

    Parameters
    ----------
    difference, error : float
        The difference and its standard error where there is none.
    df : float, default=inf
        Degrees of freedom of the error; infinite for a normal law.
    growth : float, default=1
        Ratio of the variance of a large difference to that of none. Above 1, the interval holds
        the differences that a test would not reject, each with the error that it would have.

    Returns
    -------
    Difference
        Interval and p-value; NaN with the reason if the error is zero. The interval excludes 0
        where p is below 0.05.

    Notes
    -----
    With e the error, q the quantile of Student's t and D a difference, the interval ends where
    (difference - D)² = q² e² f(D / e), with f(z) = 1 + (growth - 1) z² / (z² + 1.5).

    Examples
    --------
    >>> round(t_difference(0.1, 0.05).p_value, 3)
    0.046
    >>> for growth in (1.0, 2.0):
    ...     found = t_difference(0.2, 0.05, growth=growth)
    ...     print(f"{found.low:.3f} to {found.high:.3f}, p = {found.p_value:.5f}")
    0.102 to 0.298, p = 0.00006
    0.076 to 0.337, p = 0.00006
    """
    from scipy.stats import t

    if not error > ROUNDING:
        return not_estimable(difference, no_error(difference))
    reach, u = float(t.ppf((1 + LEVEL) / 2, df)), difference / error
    low, high = (u - reach, u + reach) if growth == 1 else _ends(u, reach, growth)
    p = float(2 * t.sf(abs(u), df))
    return Difference(difference, low * error, high * error, p)


def _ends(u: float, reach: float, growth: float) -> tuple[float, float]:
    """Return the ends of the interval around u, in standard errors."""
    k = _HALFWAY
    # (u - z)² (z² + k) = q² (growth z² + k), a polynomial in z = D / e.
    polynomial = [1, -2 * u, u**2 + k - reach**2 * growth, -2 * u * k, k * (u**2 - reach**2)]
    roots = np.roots(polynomial)
    real = roots.real[np.abs(roots.imag) <= 1e-7 * (1 + np.abs(roots.real))]
    return float(real[real < u].max()), float(real[real > u].min())


def check_labels(y: Any) -> np.ndarray:
    """Convert labels to booleans.

    Raises
    ------
    ValueError
        If y does not contain both 0 and 1 (or False and True) and nothing else.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or sorted(set(labels.tolist())) != [0, 1]:
        found = sorted(set(labels.ravel().tolist()), key=str)[:5]
        raise ValueError(f"y must contain both classes, coded 0 and 1, got {found}")
    return labels.astype(bool)


def check_scored(y: Any, *scores: Any) -> tuple[np.ndarray, ...]:
    """Convert y to booleans and each score to floats.

    Raises
    ------
    ValueError
        If y does not contain both 0 and 1 (or False and True) and nothing else, lengths differ, or
        a score is not finite.
    """
    labels = check_labels(y)
    checked = []
    for score in scores:
        values = np.asarray(score, dtype=float)
        if values.shape != labels.shape:
            raise ValueError(f"y has {len(labels)} labels but a score has shape {values.shape}")
        if not np.isfinite(values).all():
            n_bad = int((~np.isfinite(values)).sum())
            raise ValueError(f"{n_bad} of {len(values)} scores are not finite numbers")
        checked.append(values)
    return labels, *checked


def check_size(positive: np.ndarray) -> None:
    """Check that each class has enough cases for a variance."""
    if min(positive.sum(), (~positive).sum()) < 2:
        n_positive, n_negative = int(positive.sum()), int((~positive).sum())
        raise ValueError(
            f"DeLong's variance needs at least two cases of each class, got {n_positive} positive "
            f"and {n_negative} negative"
        )
