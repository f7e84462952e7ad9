"""Logistic regression in the space of the samples has the solution of scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from nonredundant.classifiers.ridge_logistic import RidgeLogistic


@pytest.mark.parametrize("shape", [(40, 300), (60, 61), (60, 60), (60, 20)], ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_solution_is_the_same(shape, n_classes, weighted):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape) + 3.0
    y = rng.integers(n_classes, size=shape[0])
    settings = {"C": 0.3, "solver": "newton-cholesky", "tol": 1e-10, "max_iter": 500}
    weights = rng.uniform(0.5, 2, size=shape[0]) if weighted else None
    found = RidgeLogistic(**settings).fit(x, y, weights)
    wanted = LogisticRegression(**settings).fit(x, y, weights)
    np.testing.assert_allclose(found.coef_, wanted.coef_, atol=1e-7)
    np.testing.assert_allclose(found.intercept_, wanted.intercept_, atol=1e-6)
    new = rng.normal(size=(7, shape[1]))
    np.testing.assert_allclose(found.predict_proba(new), wanted.predict_proba(new), atol=1e-6)


def test_names_of_columns_are_kept():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(10, 30))).add_prefix("f")
    found = RidgeLogistic().fit(frame, np.arange(10) % 2)
    assert found.feature_names_in_.tolist() == list(frame)
    assert found.n_features_in_ == 30
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame.iloc[:, ::-1])
