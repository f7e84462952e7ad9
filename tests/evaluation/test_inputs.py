"""Reading of cohorts and failed cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import (
    compare,
    make_table,
)

from nonredundant import LesionTable, compare_feature_sets


def test_failed_samples_are_left_out_and_named(cohort):
    table, y = cohort
    status = table.status.to_numpy().copy()
    status[3] = "the mask is empty"
    broken = table.replace(status=status)
    with pytest.warns(UserWarning, match="1 samples could not be extracted.*case003"):
        found = compare(broken, y, feature_sets=["HCR"])
    assert found.settings.failed == {"case003": "the mask is empty"}
    assert "case003" not in set(found.predictions["sample"])
    assert any("case003" in message for message in found.warnings)


def test_what_is_no_cohort_is_refused(cohort):
    with pytest.raises(TypeError, match="case table .* or a LesionTable, got ndarray"):
        compare_feature_sets(np.zeros((5, 2)), [0, 1, 0, 1, 0])
    table, y = cohort
    with pytest.raises(TypeError, match="test must hold one"):
        compare(table, y, test=(pd.DataFrame(), []))


def test_cases_of_the_test_set_keep_apart_from_those_of_the_cohort(cohort):
    table, y = cohort
    status = ["ok"] * 20
    status[3] = "bad file"
    with pytest.raises(ValueError, match="the test set shares 20 ids with the training cohort"):
        compare(table, y, test=(table[:20], y[:20]))
    held = make_table(20, seed=1)[0].replace(status=status, index=[f"new{i}" for i in range(20)])
    with pytest.warns(UserWarning, match="could not be extracted"):
        found = compare(table, y, test=(held, y[:20]))
    assert found.settings.failed == {"new3": "bad file"}


def test_an_empty_selection_text_and_infinity_are_named(cohort):
    table, y = cohort
    nothing = table.status == "measured twice"
    with pytest.raises(ValueError, match="X is a table without samples: the selection"):
        compare(table[nothing], y[nothing])
    with pytest.raises(ValueError, match="the test set is a table without samples"):
        compare(table, y, test=(table[nothing], y[nothing]))
    frame = table.features.reset_index(drop=True)
    name = frame.columns[0]
    far = frame.copy()
    far.loc[4, name] = np.inf
    with pytest.raises(ValueError, match=rf"infinite: columns \['{name}'\] of the cases \[4\]"):
        compare(LesionTable(far), y)
    with pytest.raises(ValueError, match=r"1 columns are not: \['Image'\]; drop those"):
        compare(LesionTable(frame.assign(Image="scan.nii")), y)


def test_features_in_a_data_frame_are_told_how_to_become_lesions(cohort):
    table, y = cohort
    with pytest.raises(ValueError, match=r"features become lesions by LesionTable\(X\)"):
        compare_feature_sets(table.features, y)
    with pytest.raises(TypeError, match=r"got str; .*LesionTable.load\(path\)"):
        compare_feature_sets("lesions.npz", y)
