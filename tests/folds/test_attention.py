"""Attention of graphs on held-out patients."""

from __future__ import annotations

import numpy as np
import pytest
from cohorts_for_tests import (
    GRAPH,
    compare_patients,
)
from sklearn.model_selection import StratifiedShuffleSplit


def test_attention_is_that_of_patients_held_out(graphs, patient_cohort):
    lesions = graphs.attention.query("kind == 'lesion'")
    sums = lesions.groupby("sample")["weight"].sum()
    assert sorted(sums.index) == sorted(patient_cohort[0].index)
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    folds = graphs.predictions.drop_duplicates("sample").set_index("sample")["fold"]
    assert (lesions["fold"].to_numpy() == folds.loc[lesions["sample"]].to_numpy()).all()


def test_attention_is_told_fold_by_fold_where_test_folds_overlap(patient_cohort, tmp_path):
    table, y, _ = patient_cohort
    splitter = StratifiedShuffleSplit(3, test_size=0.5, random_state=0)
    found = compare_patients(table, y, patients=GRAPH, cv=splitter)
    sums = found.attention.query("kind == 'lesion'").groupby(["fold", "sample"])["weight"].sum()
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    for parts in found.patient_graphs:
        assert parts["weights"].sum() == pytest.approx(1, rel=1e-5)
        assert len(parts["weights"]) == len(parts["places"])


def test_every_class_is_pictured_with_its_own_probability(patient_cohort):
    table, y, hottest = patient_cohort
    three = np.where(hottest > 1.5, 10, np.where(y == 1, 9, 2))
    found = compare_patients(table, three, patients=GRAPH)
    shown = [parts["title"].split(": ")[1] for parts in found.patient_graphs]
    assert [one.split(",")[0] for one in shown] == ["10", "10", "9", "9", "2", "2"]
    place = found.patient_graphs[-1]["title"]
    label, told = place.split(":")[0], float(place.split()[-1])
    row = found.predictions.query("classifier == 'graph'").set_index("sample").loc[label]
    assert told == pytest.approx(row["score_2"], abs=0.005)
