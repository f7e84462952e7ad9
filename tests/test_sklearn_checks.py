"""scikit-learn's own estimator checks, over one table of cheap instances and known failures."""

from __future__ import annotations

from collections import Counter

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from nonredundant.cvae import NonRedundantCVAE

#: One cheap instance of every estimator that takes a plain matrix.
ESTIMATORS = [
    NonRedundantCVAE(dlr_size=2, max_epochs=2, random_state=0, device="cpu"),
]
#: Checks that cannot hold, and why.
EXPECTED_FAILED_CHECKS: dict[str, dict[str, str]] = {
    "NonRedundantCVAE": {},
}
#: Fewer than this many checks would mean that the suite no longer runs.
LEAST_CHECKS = 40


def expected_failed_checks(estimator):
    return EXPECTED_FAILED_CHECKS.get(type(estimator).__name__, {})


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_the_whole_suite_runs(estimator):
    names = Counter(
        getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(estimator)
    )
    assert sum(names.values()) >= LEAST_CHECKS
    assert set(expected_failed_checks(estimator)) <= set(names)
