"""A ridge Cox regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from nonredundant.utils.validation import validate_data

#: Newton steps until the largest change of a log hazard is below the tolerance.
_STEPS, _TOLERANCE = 100, 1e-6


class RidgeCox(BaseEstimator):
    """Fit a Cox regression with a ridge penalty by Newton steps that are halved where they fail.

    The penalised likelihood is strictly concave, so that there is a fit for every penalty above 0
    and any number of columns. Of scikit-survival's estimators, `CoxnetSurvivalAnalysis` ends in
    an `ArithmeticError` on some cohorts of fewer samples than columns, whatever the strength of
    the penalty, and `CoxPHSurvivalAnalysis` takes Newton steps in all columns rather than in the
    space of the samples. Tied times are treated by Breslow's method.

    Parameters
    ----------
    alpha : float, default=0.001
        Weight of half the squared norm of the coefficients, relative to the mean log partial
        likelihood per sample.

    Attributes
    ----------
    coef_ : array of shape (n_features,)
        The coefficients of the log hazard.

    References
    ----------
    Cox 1972, J. R. Stat. Soc. B 34, 187; Verweij & van Houwelingen 1994, Stat. Med. 13, 2427.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(6.0)[:, None]
    >>> times = np.array([(True, 6.0 - t) for t in range(6)], [("event", bool), ("time", float)])
    >>> bool(RidgeCox(alpha=0.1).fit(x, times).coef_[0] > 0)
    True
    """

    def __init__(self, alpha: float = 0.001) -> None:
        self.alpha = alpha

    def fit(self, X: Any, y: Any) -> RidgeCox:
        """Fit the coefficients.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Training rows.
        y : structured array of shape (n_samples,)
            The fields `event`, whether it was observed, and `time`, until then or to censoring.

        Returns
        -------
        self
            The fitted regression.

        Raises
        ------
        ValueError
            If y has other fields or another length.
        """
        X = validate_data(self, X)
        event, time = _event_times(y, len(X))
        # Sorted from the latest to the earliest time, a risk set is a leading part.
        order = np.argsort(-time, kind="stable")
        # A ridge solution is a combination of the rows; their axes are at most n_samples.
        left, sizes, axes = np.linalg.svd(X[order] - X.mean(axis=0), full_matrices=False)
        parts = event[order], time[order]
        likelihood = _Likelihood(left * sizes, *parts, self.alpha * len(X))
        beta = np.zeros(len(sizes))
        value = likelihood.value(beta)
        for _ in range(_STEPS):
            step = likelihood.newton_step(beta)
            while (new := likelihood.value(beta + step)) < value - _TOLERANCE:
                step = step / 2
            beta, value = beta + step, new
            if np.abs(likelihood.z @ step).max() < _TOLERANCE:
                break
        self.coef_ = beta @ axes
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Compute the log hazards, up to a constant.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples,)
            Risks, higher for earlier events.
        """
        check_is_fitted(self, "coef_")
        return validate_data(self, X, reset=False) @ self.coef_

    def __sklearn_tags__(self) -> Any:
        """Declare that a target is required."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _event_times(y: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the fields `event` and `time` of the outcome; all may be censored."""
    if y is None:
        raise ValueError("RidgeCox requires y to be passed, but the target y is None")
    fields = getattr(getattr(y, "dtype", None), "names", None) or ()
    if not {"event", "time"} <= set(fields) or len(y) != n:
        raise ValueError(
            f"y must be a structured array of {n} rows with the fields 'event' and 'time', got "
            f"the fields {tuple(fields)} of {len(y)} rows"
        )
    return y["event"], y["time"]


class _Likelihood:
    """The penalised log partial likelihood of rows sorted from the latest to the earliest time."""

    def __init__(self, z: np.ndarray, event: np.ndarray, time: np.ndarray, penalty: float) -> None:
        self.z = z
        self.event = event
        self.penalty = penalty
        #: Number of samples at risk at each event; tied times are at risk together.
        self.n_at_risk = np.searchsorted(-time, -time[event], side="right")

    def value(self, beta: np.ndarray) -> float:
        """Compute the value at coefficients."""
        eta = self.z @ beta
        fit = eta[self.event].sum() - self._log_totals(eta).sum()
        return float(fit - self.penalty * (beta @ beta) / 2)

    def newton_step(self, beta: np.ndarray) -> np.ndarray:
        """Compute the Newton step from coefficients."""
        eta = self.z @ beta
        at_risk = np.arange(len(eta)) < self.n_at_risk[:, None]
        # Each sample's share of the hazard at each event.
        log_share = eta - self._log_totals(eta)[:, None]
        shares = np.exp(np.where(at_risk, log_share, -np.inf))
        expected = shares.sum(axis=0)
        gradient = self.z.T @ (self.event - expected) - self.penalty * beta
        mean = shares @ self.z
        information = (self.z.T * expected) @ self.z - mean.T @ mean
        return np.linalg.solve(information + self.penalty * np.eye(len(beta)), gradient)

    def _log_totals(self, eta: np.ndarray) -> np.ndarray:
        """Return the logarithm of the total hazard at each event."""
        return np.logaddexp.accumulate(eta)[self.n_at_risk - 1]
