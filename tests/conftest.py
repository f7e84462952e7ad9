"""Cohorts and comparisons that several tests read."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def figures_are_closed():
    """Close the figures of a test: matplotlib warns of many, in whichever test comes next."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


@pytest.fixture(scope="session")
def cohort():
    from cohorts_for_tests import make_table

    return make_table()


@pytest.fixture(scope="session")
def found(cohort):
    from cohorts_for_tests import compare

    return compare(*cohort, baselines=True, n_repeats=2, scoring=["roc_auc", "balanced_accuracy"])


@pytest.fixture(scope="session")
def patient_cohort():
    from cohorts_for_tests import make_patients

    return make_patients()


@pytest.fixture(scope="session")
def graphs(patient_cohort):
    """A comparison with the graph, a learned block and a clinical column."""
    from cohorts_for_tests import GRAPH, compare_patients

    table, y, _ = patient_cohort
    return compare_patients(
        table, y, patients=GRAPH, feature_sets=["HCR", "HCR+DLR", "HCR+DLR-MI"], baselines=True
    )


@pytest.fixture(scope="session")
def times(patient_cohort):
    from cohorts_for_tests import make_times

    return make_times(patient_cohort[2])
