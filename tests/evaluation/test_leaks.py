"""The outcome is no clinical column; a case cannot be in cohort and test set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import make_rows
from sklearn.compose import make_column_transformer

from nonredundant import LesionTable
from nonredundant.evaluation.leaks import check_held_out, check_target
from nonredundant.extraction.case_table import clinical_sources


def test_the_outcome_is_no_clinical_column():
    cases = pd.DataFrame({"image": list("abcd"), "age": [1, 2, 3, 4], "relapse": [0, 1, 0, 1]})
    y = cases["relapse"]
    check_target(y, cases, ["age"])
    encoded = make_column_transformer(("passthrough", ["age", "relapse"]))
    for clinical in (["age", "relapse"], encoded):
        for labels in (y, y.to_numpy()):
            with pytest.raises(ValueError, match=r"y itself: 'relapse' (has its name|equals it)"):
                check_target(labels, cases, clinical_sources(clinical))
    features = cases[["age", "relapse"]].astype(float)
    table = LesionTable(features, blocks={"age": "clinical", "relapse": "clinical"})
    with pytest.raises(ValueError, match=r"leave \['relapse'\] out"):
        check_target(y.to_numpy(), table, [])


def test_the_outcome_in_another_coding_and_its_times_are_no_clinical_columns():
    n = 20
    y = np.arange(n) % 2
    cases = pd.DataFrame({"image": ["a.nii"] * n, "state": np.array(["alive", "dead"])[y]})
    with pytest.raises(ValueError, match="'state' is the same in another coding"):
        check_target(y, cases, ["state"])
    # Few patients may share a value by chance, and one that differs is another variable.
    check_target(y[:6], cases[:6], ["state"])
    check_target(np.r_[y[:-1], 0], cases, ["state"])
    times = pd.DataFrame({"seen": y > 0, "months": np.linspace(1, 9, n)})
    pairs = np.array(list(times.itertuples(index=False)), dtype=[("e", bool), ("t", float)])
    cases = cases.assign(months=times["months"], follow_up=times["months"], age=50.0)
    for outcome, names in ((times, ["months", "follow_up"]), (pairs, ["follow_up"])):
        for name in names:
            with pytest.raises(ValueError, match=f"y itself: '{name}'"):
                check_target(outcome, cases, [name])
        check_target(outcome, cases, ["age"])


def test_the_same_image_by_another_path_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cases = pd.DataFrame({"image": ["a.nii", "b.nii"]}, index=["anna", "bert"])
    held = pd.DataFrame({"image": [str(tmp_path / "x" / ".." / "b.nii")]}, index=["carl"])
    table = LesionTable(pd.DataFrame({"a": [1.0, 2.0, 3.0]}), index=["anna", "bert", "carl"])
    with pytest.raises(ValueError, match="shares 1 image files"):
        check_held_out(cases, held, table)


def test_a_test_set_of_training_patients_is_refused():
    table = make_rows(12)
    with pytest.raises(ValueError, match=r"shares 3 ids.*'P0', 'P1', 'P2'"):
        check_held_out(table, table[:3], LesionTable.concat([table, table[:3]]))
    other = table[4:6].replace(index=["x", "y"])
    with pytest.raises(ValueError, match=r"2 cases with the same voxels.*'x', 'y'"):
        check_held_out(table, other, LesionTable.concat([table, other]))
    new = make_rows(4, start=20)
    check_held_out(table, new, LesionTable.concat([table, new]))


def test_a_test_set_with_a_training_image_is_refused():
    cases = pd.DataFrame({"image": ["a.nii", "b.nii"]})
    held = pd.DataFrame({"image": ["b.nii", "c.nii"]})
    table = make_rows(4)
    with pytest.raises(ValueError, match=r"1 image files.*\['b.nii'\]"):
        check_held_out(cases, held, table)
    check_held_out(cases, held.iloc[1:], table)


def test_equal_rows_do_not_identify_a_patient_where_they_are_usual():
    table = LesionTable(pd.DataFrame({"grade": [1.0, 1.0, 2.0]}))
    held = table[:2].replace(index=["x", "y"])
    check_held_out(table, held, LesionTable.concat([table, held]))


@pytest.mark.parametrize("kind", ["classes", "words", "times"])
@pytest.mark.parametrize("lesions", [1, 2])
def test_an_embedding_that_holds_the_outcome_is_refused(kind, lesions):
    rng = np.random.default_rng(0)
    y = pd.Series(rng.integers(0, 2, 20), name="y")
    labels = {
        "classes": y,
        "words": y.map({0: "benign", 1: "malignant"}),
        "times": pd.DataFrame({"event": rng.integers(0, 2, 20), "time": y + rng.random(20)}),
    }[kind]
    outcome = labels["time"] if kind == "times" else y
    given = pd.DataFrame(rng.normal(size=(20, 4))).assign(leak=3.5 * outcome - 1.0)
    features = pd.DataFrame({"original_a": rng.normal(size=20 * lesions)})
    sample = np.repeat(np.arange(20), lesions)
    table = LesionTable(features, sample=sample, embeddings={"FMCIB": given})
    with pytest.raises(ValueError, match=r"'FMCIB' has 1 columns that are the outcome.*__leak"):
        check_target(labels, table, [])
    honest = LesionTable(features, sample=sample, embeddings={"FMCIB": given.drop(columns="leak")})
    check_target(labels, honest, [])
