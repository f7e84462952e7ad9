"""The columns of feature sets and the networks behind them."""

from __future__ import annotations

import numpy as np
import pytest
from cohorts_for_tests import (
    compare_patients,
)

from nonredundant import NonRedundantCVAE
from nonredundant.models.baselines import Residualiser


def test_residuals_are_those_of_lesions(patient_cohort):
    table, y, _ = patient_cohort
    found = compare_patients(table, y, feature_sets=["HCR+DLR", "HCR+DLR-residual"])
    source, model = found.networks["DLR", 0, 0], found.networks["DLR-residual", 0, 0]
    held = table.index.isin(found.predictions.query("fold == 0")["sample"])[table.sample]
    by_hand = Residualiser().fit(table.hcr[~held], source.transform(table)[~held])
    np.testing.assert_allclose(model.ridge_.coef_, by_hand.ridge_.coef_, rtol=1e-9)


def test_columns_are_picked_by_the_times_of_training_samples(patient_cohort, times):
    table = patient_cohort[0]
    one = compare_patients(table, times, classifiers="Cox", feature_sets=["H2"])
    held = table.index.get_indexer(one.predictions.query("fold == 0")["sample"])
    other = times.copy()
    other["time"][held] = np.random.default_rng(0).permutation(times["time"][held]) * 100
    two = compare_patients(table, other, classifiers="Cox", feature_sets=["H2"])
    first = [f.models["H2", "Cox", 0, 0].named_steps["blocks"].mean_ for f in (one, two)]
    np.testing.assert_array_equal(*first)


def test_networks_with_a_label_term_are_refused_for_times(patient_cohort, times):

    with pytest.raises(ValueError, match="gamma=1.0, a label term of classes"):
        compare_patients(
            patient_cohort[0], times, cvae=NonRedundantCVAE(gamma=1.0), feature_sets=["HCR+DLR-MI"]
        )
