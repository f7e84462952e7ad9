"""Times to an event for phantoms with known truth."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import logit
from sklearn.utils import check_random_state

#: Median time to the event at a log hazard of 0, in months.
MEDIAN = 24.0


def make_survival_times(
    truth: pd.DataFrame,
    *,
    censoring: float = 0.4,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    r"""Draw a time to an event for each phantom, some of them censored.

    Times are exponential with the log hazard :math:`\eta`, the logit of the phantom's true
    probability, so that the time depends on the same factors as the label:

    .. math:: P(T > t) = 2^{-t e^\eta / 24}

    Censoring times are also exponential and independent of the phantom. Their rate is such that
    the expected share of censored patients is `censoring`.

    Parameters
    ----------
    truth : DataFrame
        The truth that `make_lesions` returns, with the column `probability`.
    censoring : float, default=0.4
        Expected share of censored patients, at least 0 and less than 1.
    random_state : int, RandomState or None, default=None
        Seed. The same integer gives the same times.

    Returns
    -------
    structured array of shape (n_samples,)
        The fields `event` (bool, True if the event was observed) and `time` (float, months), as
        scikit-survival expects.

    Raises
    ------
    ValueError
        If `censoring` is out of range, or `truth` has no probabilities between 0 and 1.

    See Also
    --------
    make_lesions : The phantoms.

    Notes
    -----
    The hazards are proportional, so that a Cox model with :math:`\eta` as risk is correct. The
    median time is 24 months if :math:`\eta = 0`.

    Examples
    --------
    >>> from nonredundant.datasets import make_lesions, make_survival_times
    >>> _, _, truth = make_lesions(5, random_state=0)
    >>> y = make_survival_times(truth, random_state=0)
    >>> y.dtype.names, bool((y["time"] > 0).all())
    (('event', 'time'), True)
    """
    if not isinstance(censoring, Real) or not 0 <= float(censoring) < 1:
        raise ValueError(f"censoring must be a share of at least 0 and below 1, got {censoring!r}.")
    if "probability" not in truth:
        raise ValueError(
            "truth must be the one that make_lesions returns, with the column 'probability', got "
            f"the columns {list(truth)}."
        )
    probability = truth["probability"].to_numpy(dtype=np.float64)
    if not ((probability > 0) & (probability < 1)).all():
        raise ValueError("the probabilities in truth must lie between 0 and 1, ends excluded.")
    rng = check_random_state(random_state)
    rate = math.log(2) / MEDIAN * np.exp(logit(probability))
    time = rng.exponential(size=len(rate)) / rate
    limit = rng.exponential(size=len(rate)) * _mean_to_censoring(rate, float(censoring))
    y = np.empty(len(rate), dtype=[("event", bool), ("time", np.float64)])
    y["event"], y["time"] = time <= limit, np.minimum(time, limit)
    return y


def _mean_to_censoring(rate: np.ndarray, share: float) -> float:
    """Compute the mean time to censoring for an expected share of censored patients.

    Of two exponential times, the one with rate μ is shorter than that with rate λ with
    probability μ / (λ + μ).
    """
    if share == 0:
        return math.inf

    def excess(log_mean: float) -> float:
        return float(np.mean(1 / (1 + rate * np.exp(log_mean)))) - share

    middle, reach = -np.log(rate), abs(float(logit(share))) + 1
    return float(np.exp(brentq(excess, middle.min() - reach, middle.max() + reach)))
