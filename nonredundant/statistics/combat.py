"""ComBat: location and scale of each centre and column, shrunk by empirical Bayes.

Johnson, Li & Rabinovic 2007 (doi 10.1093/biostatistics/kxj037), with covariates as Fortin et al.
2018 (doi 10.1016/j.neuroimage.2017.11.024) do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Axis over which estimates of a matrix (centres × columns) are pooled, by name.
PRIORS = {"features": 1, "centres": 0}
#: Relative change at which the iterations end, as in the reference implementations.
_TOLERANCE, _MOST_ITERATIONS = 1e-4, 1000
#: Variance of a prior below which it is a point.
_LEAST_VARIANCE = 1e-8
#: A column varies within centres if its spread there is above this share of its largest value.
_LEAST_SPREAD = 1e-9


class CentreEffects(NamedTuple):
    """What ComBat has estimated of p columns in k centres.

    Attributes
    ----------
    mean : array of shape (p,)
        Mean of the pooled reference, where covariates are zero.
    spread : array of shape (p,)
        Standard deviation within centres; 1 for columns that do not vary there.
    slopes : array of shape (n_covariates, p)
        Effects of the covariates, which are kept.
    shift, scale : array of shape (k, p)
        Shift of each centre and its variance, both of the standardised columns.
    """

    mean: np.ndarray
    spread: np.ndarray
    slopes: np.ndarray
    shift: np.ndarray
    scale: np.ndarray


def centre_effects(
    values: np.ndarray, centre: np.ndarray, covariates: np.ndarray, *, prior: str = "features"
) -> CentreEffects:
    """Estimate what differs between centres beyond the covariates.

    Parameters
    ----------
    values : array of shape (n, p)
        Columns; NaN for gaps, which are passed over.
    centre : int array of shape (n,)
        Number of the centre of each row, 0 to k - 1.
    covariates : array of shape (n, n_covariates)
        What may differ between centres and is kept.
    prior : {"features", "centres"}, default="features"
        Over what the estimates are pooled for the prior: over the columns of a centre, as
        published, or over the centres of a column.

    Returns
    -------
    CentreEffects
        The estimates. A centre without a value of a column gets shift 0 and variance 1, one with a
        single value variance 1.

    Raises
    ------
    ValueError
        If the covariates are determined by the centres.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> centre = np.repeat([0, 1], 50)
    >>> values = rng.normal(size=(100, 20)) + 3 * centre[:, None]
    >>> found = centre_effects(values, centre, np.empty((100, 0)))
    >>> even = without_effects(values, centre, np.empty((100, 0)), found)
    >>> bool(abs(even[centre == 1].mean() - even[centre == 0].mean()) < 0.1)
    True
    """
    k = int(centre.max()) + 1
    design = np.hstack([np.eye(k)[centre], covariates])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError(
            "the covariates do not vary within centres, or one follows from the others and the "
            "centre, so that their effects cannot be told from those of the centres"
        )
    known = ~np.isnan(values)
    n = np.eye(k)[:, centre] @ known
    coefficients = _least_squares(design, values, known)
    # A column without any value stays as it is.
    total = np.maximum(n.sum(axis=0), 1)
    mean = (n * coefficients[:k]).sum(axis=0) / total
    left = np.where(known, values - design @ coefficients, 0.0)
    spread = np.sqrt(np.square(left).sum(axis=0) / total)
    largest = np.where(known, np.abs(values), 0.0).max(axis=0)
    varies = spread > _LEAST_SPREAD * largest
    spread = np.where(varies, spread, 1.0)
    slopes = coefficients[k:]
    z = (values - mean - covariates @ slopes) / spread
    shift, scale = _shrunk(z, centre, n, varies, prior)
    return CentreEffects(mean, spread, slopes, shift, scale)


def without_effects(
    values: np.ndarray, centre: np.ndarray, covariates: np.ndarray, effects: CentreEffects
) -> np.ndarray:
    """Remove the effects of centres from columns.

    Parameters
    ----------
    values : array of shape (n, p)
        Columns; gaps stay.
    centre : int array of shape (n,)
        Number of the centre of each row; -1 for the pooled reference, whose rows stay as they are.
    covariates : array of shape (n, n_covariates)
        As for `centre_effects`.
    effects : CentreEffects
        What `centre_effects` returned.

    Returns
    -------
    array of shape (n, p)
        The columns as the pooled reference has them.
    """
    # The last row, which -1 points at, is the reference.
    shift = np.vstack([effects.shift, np.zeros_like(effects.mean)])[centre]
    scale = np.vstack([effects.scale, np.ones_like(effects.mean)])[centre]
    middle = effects.mean + covariates @ effects.slopes
    z = ((values - middle) / effects.spread - shift) / np.sqrt(scale)
    even = z * effects.spread + middle
    # Rows of the reference are the same numbers, not the same but for rounding.
    return np.where(centre[:, None] < 0, values, even)


def _least_squares(design: np.ndarray, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fit each column to its known rows; columns with the same gaps are fitted together."""
    coefficients = np.zeros((design.shape[1], values.shape[1]))
    patterns, which = np.unique(known, axis=1, return_inverse=True)
    for number, rows in enumerate(patterns.T):
        columns = which.ravel() == number
        found = np.linalg.lstsq(design[rows], values[np.ix_(rows, columns)], rcond=None)[0]
        coefficients[:, columns] = found
    return coefficients


def _shrunk(
    z: np.ndarray, centre: np.ndarray, n: np.ndarray, varies: np.ndarray, prior: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the posterior shift and variance of each centre and column."""
    shift, scale = np.zeros_like(n), np.ones_like(n)
    for one in range(len(n)):
        rows = z[centre == one]
        there = n[one] > 0
        shift[one, there] = np.nanmean(rows[:, there], axis=0)
        several = (n[one] > 1) & varies
        scale[one, several] = np.nanvar(rows[:, several], axis=0, ddof=1)
    axis = PRIORS[prior]
    if (varies.sum() if axis == 1 else len(n)) < 2:
        # One column, or one centre, has nothing to borrow from.
        return shift, np.where(scale > 0, scale, 1.0)
    # Estimates that there are none of have no part in the priors.
    of_shift = np.where((n > 0) & varies, shift, np.nan)
    of_scale = np.where((n > 1) & varies, scale, np.nan)
    means, spreads = _moments(of_shift, axis)
    variances, scatter = _moments(of_scale, axis)
    a = variances**2 / scatter + 2
    shapes = (np.broadcast_to(one, n.shape) for one in (means, spreads, a, variances * (a - 1)))
    # Columns that do not vary have no part in when the iterations end either.
    matrices = (one[:, varies] for one in (shift, scale, n, *shapes))
    posterior = _posterior(*matrices)
    shift[:, varies] = np.where(n[:, varies] > 0, posterior[0], 0.0)
    scale[:, varies] = np.where(n[:, varies] > 1, posterior[1], 1.0)
    return shift, scale


def _moments(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance over an axis, of values that may be missing: 1 each without any."""
    there = ~np.isnan(values)
    count = there.sum(axis=axis, keepdims=True)
    filled = np.where(there, values, 0.0)
    mean = filled.sum(axis=axis, keepdims=True) / np.maximum(count, 1)
    squares = np.where(there, np.square(values - mean), 0.0).sum(axis=axis, keepdims=True)
    variance = np.maximum(squares / np.maximum(count - 1, 1), _LEAST_VARIANCE)
    return np.where(count > 0, mean, 1.0), np.where(count > 1, variance, 1.0)


def _posterior(
    g: np.ndarray,
    d: np.ndarray,
    n: np.ndarray,
    mean: np.ndarray,
    spread: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the conditional posterior means of shift and variance (Johnson 2007, section 3.3).

    The prior of a shift is normal with `mean` and variance `spread`, that of a variance inverse
    gamma with shape `a` and scale `b`. Each centre is iterated until its changes are small.
    """
    shift, scale = g.copy(), d.copy()
    for i in range(len(g)):
        for _ in range(_MOST_ITERATIONS):
            before = np.stack([shift[i], scale[i]])
            weight = spread[i] * n[i]
            shift[i] = (weight * g[i] + scale[i] * mean[i]) / (weight + scale[i])
            squares = np.maximum(n[i] - 1, 0) * d[i] + n[i] * (g[i] - shift[i]) ** 2
            scale[i] = (0.5 * squares + b[i]) / (n[i] / 2 + a[i] - 1)
            change = np.abs(np.stack([shift[i], scale[i]]) - before)
            if (change <= _TOLERANCE * (np.abs(before) + _LEAST_VARIANCE)).all():
                break
    return shift, scale
