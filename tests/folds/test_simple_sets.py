"""The baselines that are added to a comparison."""

from __future__ import annotations

import numpy as np
import pytest
from cohorts_for_tests import (
    CheapNetwork,
    compare,
    compare_patients,
)

from nonredundant import LesionTable
from nonredundant.folds.simple_sets import SIMPLE


def _single(*columns):
    """Return the baselines of samples with one lesion; of volume and maximum, only `columns`."""
    lost = {"volume", "maximum"} - set(columns)
    cheap = [one for one in SIMPLE.values() if not one.several_lesions]
    return [one.name for one in cheap if not lost & set(one.columns)]


def test_volume_and_intensity_are_baselines():
    assert {"volume", "max intensity", "volume + max intensity"} <= set(
        _single("volume", "maximum")
    )
    assert "max intensity" not in _single("volume")


def test_default_sets_and_baselines_are_all_there(found):
    assert list(found.scores["feature_set"].unique()) == [
        "HCR",
        "DLR",
        "DLR-MI",
        "HCR+DLR",
        "HCR+DLR-MI",
        *_single("volume", "maximum"),
        "HCR+PCA",
        "HCR+DLR-residual",
    ]


def test_baselines_that_cannot_be_had_are_left_out_and_said_so(cohort):
    table, y = cohort
    plain = table.replace(
        features=table.features.drop(columns="original_firstorder_Maximum"), patches=None
    )
    with pytest.warns(UserWarning, match="baseline 'maximum' is left out"):
        found = compare(plain, y, feature_sets=["HCR"], baselines=True)
    assert found.settings.feature_sets == ["HCR", *_single("volume")]


def test_how_lesions_are_spread_is_a_baseline_where_samples_have_several(patient_cohort):
    table, y, _ = patient_cohort
    found = compare_patients(table, y, baselines=True, cvae=CheapNetwork())
    columns = found.models["dissemination", "LR", 0, 0].named_steps["impute"].n_features_in_
    assert columns == 7
    first = np.searchsorted(table.sample, np.arange(len(table)))
    single = LesionTable(table.features.iloc[first].reset_index(drop=True))
    assert "dissemination" not in compare_patients(single, y, baselines=True).settings.feature_sets
