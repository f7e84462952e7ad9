"""scikit-learn's estimator checks, on one table of all estimators and of expected failures."""

from __future__ import annotations

import pytest
from estimators_for_tests import (
    CONVERTED,
    ESTIMATORS,
    EXPECTED_FAILED_CHECKS,
    PARAMETERS_ONLY,
    estimator_classes,
    expected_failed_checks,
)
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from nonredundant.contrastive import ContrastiveVAE, SepVAE

#: Number of checks per estimator below which scikit-learn no longer runs its whole suite.
LEAST_CHECKS = 40
#: Checks that need no data.
OF_PARAMETERS = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_set_params",
]


def name_of(value):
    return type(value).__name__


def test_every_estimator_of_the_package_is_in_the_table():
    assert estimator_classes() == {type(one) for one in [*ESTIMATORS, *PARAMETERS_ONLY]}


@parametrize_with_checks([*ESTIMATORS, *CONVERTED], expected_failed_checks=expected_failed_checks)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", OF_PARAMETERS)
@pytest.mark.parametrize("estimator", PARAMETERS_ONLY, ids=name_of)
def test_check_of_parameters(estimator, check):
    getattr(estimator_checks, check)(name_of(estimator), estimator)


@pytest.mark.parametrize("estimator", [*ESTIMATORS, *CONVERTED], ids=name_of)
def test_the_whole_suite_runs(estimator):
    names = [
        getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(estimator)
    ]
    assert len(names) >= LEAST_CHECKS
    assert set(expected_failed_checks(estimator)) <= set(names)


def test_only_estimators_of_the_table_are_excused():
    assert set(EXPECTED_FAILED_CHECKS) <= {name_of(one) for one in ESTIMATORS}


@pytest.mark.parametrize("check", ["check_estimators_dtypes", "check_fit2d_1feature"])
@pytest.mark.parametrize("model", [SepVAE, ContrastiveVAE])
def test_contrastive_models_pass_at_their_defaults(model, check):
    getattr(estimator_checks, check)(model.__name__, model())
