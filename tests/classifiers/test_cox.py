"""The ridge Cox regression."""

from __future__ import annotations

import numpy as np
import pytest
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis

from nonredundant.classifiers.cox import RidgeCox
from nonredundant.statistics import concordance_index


def cohort(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = np.empty(n, dtype=[("event", bool), ("time", float)])
    y["time"] = rng.exponential(np.exp(-X[:, 0]))
    y["event"] = rng.random(n) < 0.7
    return X, y


@pytest.mark.parametrize("p", [3, 60])
@pytest.mark.parametrize("ties", [False, True])
def test_coefficients_are_those_of_scikit_survival(p, ties):
    X, y = cohort(40, p)
    if ties:
        y["time"] = np.ceil(5 * y["time"])
    reference = CoxPHSurvivalAnalysis(alpha=40 * 0.1, ties="breslow", n_iter=200, tol=1e-12)
    np.testing.assert_allclose(RidgeCox(0.1).fit(X, y).coef_, reference.fit(X, y).coef_, atol=1e-5)


def test_a_cohort_that_ends_in_an_arithmetic_error_of_coxnet_has_a_fit():
    X, y = cohort(40, 107)
    with pytest.raises(ArithmeticError):
        CoxnetSurvivalAnalysis(alphas=[0.01], l1_ratio=1e-3).fit(X, y)
    for alpha in (10.0, 0.01, 1e-6):
        model = RidgeCox(alpha).fit(X, y)
        assert concordance_index(y["event"], y["time"], model.predict(X)) > 0.6


def test_extreme_values_do_not_stop_the_fit():
    X, y = cohort(30, 2)
    X[0] = 1e4
    assert np.isfinite(RidgeCox(1e-4).fit(X, y).coef_).all()
