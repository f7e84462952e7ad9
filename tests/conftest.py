"""Cohorts and comparisons that several tests read."""

from __future__ import annotations

import pytest
from cohorts_for_tests import (
    GRAPH,
    compare,
    compare_patients,
    make_patients,
    make_table,
    make_times,
)


@pytest.fixture(scope="session")
def cohort():
    return make_table()


@pytest.fixture(scope="session")
def found(cohort):
    return compare(*cohort, baselines=True, n_repeats=2, scoring=["roc_auc", "balanced_accuracy"])


@pytest.fixture(scope="session")
def patient_cohort():
    return make_patients()


@pytest.fixture(scope="session")
def graphs(patient_cohort):
    """A comparison with the graph, a learned block and a clinical column."""
    table, y, _ = patient_cohort
    return compare_patients(
        table, y, patients=GRAPH, feature_sets=["HCR", "HCR+DLR", "HCR+DLR-MI"], baselines=True
    )


@pytest.fixture(scope="session")
def times(patient_cohort):
    return make_times(patient_cohort[2])
