"""Logistic regression whose Newton steps are taken in the space of the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from nonredundant.utils.validation import validate_data


class RidgeLogistic(LogisticRegression):
    """scikit-learn's logistic regression with a ridge penalty, for more columns than samples.

    A ridge solution is a combination of the rows. Where there are fewer of them than columns, the
    regression is fitted to the coordinates of the rows on their own axes, at most as many as
    there are rows, and its coefficients are mapped back. The solution is the same, and a Newton
    step takes the third power of the number of samples, not of columns.

    Parameters
    ----------
    **parameters
        As those of `sklearn.linear_model.LogisticRegression`, with the penalty "l2".

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(30, 200))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> one = RidgeLogistic(solver="newton-cholesky", tol=1e-9).fit(x, y)
    >>> other = LogisticRegression(solver="newton-cholesky", tol=1e-9).fit(x, y)
    >>> bool(np.allclose(one.coef_, other.coef_, atol=1e-6))
    True
    """

    coef_: Any

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RidgeLogistic:
        """Fit the coefficients.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Training rows.
        y : array of shape (n_samples,)
            Classes.
        sample_weight : array of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        self
            The fitted regression.
        """
        if hasattr(X, "tocsr"):
            return super().fit(X, y, sample_weight)
        values = validate_data(self, X)
        if values.shape[1] <= values.shape[0]:
            return super().fit(X, y, sample_weight)
        names = getattr(self, "feature_names_in_", None)
        left, sizes, axes = np.linalg.svd(values, full_matrices=False)
        super().fit(left * sizes, y, sample_weight)
        self.coef_ = self.coef_ @ axes
        self.n_features_in_ = values.shape[1]
        if names is not None:
            self.feature_names_in_ = names
        return self
