"""Labels and groups follow the index of the cases; a case cannot be in cohort and test set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import make_rows
from sklearn.compose import make_column_transformer

from nonredundant import LesionTable, compare_feature_sets
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.evaluation.identity import check_groups, check_held_out, check_target, read_groups
from nonredundant.folds.outcome import read_outcome
from nonredundant.folds.splits import inner_splits


def test_groups_are_aligned_and_complete():
    table = make_rows()
    groups = pd.Series(list("aabbcc"), index=table.index)
    assert check_groups(groups.iloc[::-1], table).tolist() == list("aabbcc")
    with pytest.raises(ValueError, match=r"groups is missing for 2 samples: \['P1', 'P4'\]"):
        check_groups(["a", None, "b", "b", np.nan, "c"], table)
    with pytest.raises(ValueError, match=r"groups has shape \(2,\)"):
        check_groups(["a", "b"], table)


def test_the_outcome_is_no_clinical_column():
    cases = pd.DataFrame({"image": list("abcd"), "age": [1, 2, 3, 4], "relapse": [0, 1, 0, 1]})
    y = cases["relapse"]
    check_target(y, cases, ["age"])
    encoded = make_column_transformer(("passthrough", ["age", "relapse"]))
    for clinical in (["age", "relapse"], encoded):
        for labels in (y, y.to_numpy()):
            with pytest.raises(ValueError, match=r"y itself: 'relapse' (has its name|equals it)"):
                check_target(labels, cases, clinical)
    features = cases[["age", "relapse"]].astype(float)
    table = LesionTable(features, blocks={"age": "clinical", "relapse": "clinical"})
    with pytest.raises(ValueError, match=r"leave \['relapse'\] out"):
        check_target(y.to_numpy(), table, None)


def test_the_outcome_in_another_coding_and_its_times_are_no_clinical_columns():
    n = 20
    y = np.arange(n) % 2
    cases = pd.DataFrame({"image": ["a.nii"] * n, "state": np.array(["alive", "dead"])[y]})
    encoded = make_column_transformer(("passthrough", ["state"]))
    with pytest.raises(ValueError, match="'state' is the same in another coding"):
        check_target(y, cases, encoded)
    # Few patients may share a value by chance, and one that differs is another variable.
    check_target(y[:6], cases[:6], encoded)
    check_target(np.r_[y[:-1], 0], cases, encoded)
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


@pytest.mark.parametrize("other", ["yes ", "Yes", " yes"])
def test_labels_that_differ_by_spaces_or_case_are_a_question(other):
    with pytest.raises(ValueError, match="differ by spaces or case alone.*one class"):
        read_outcome(["yes", other, "no", "no"], None, 4, 0)


def test_an_ordered_categorical_keeps_its_order():
    order = ["low", "medium", "high"]
    y = pd.Series(pd.Categorical(["high", "low", "medium", "low"], order, ordered=True))
    found = read_outcome(y, ["high", "low"], 4, 2)
    assert found.classes.tolist() == order
    assert found.y.tolist() == [2, 0, 1, 0]
    assert found.test.y.tolist() == [2, 0]
    assert read_outcome(y.astype(str), None, 4, 0).classes.tolist() == sorted(order)


def test_repeated_ids_need_groups_in_a_comparison_and_group_a_fit():
    rng = np.random.default_rng(0)
    ids = [f"P{k // 2}" for k in range(24)]
    table = LesionTable(pd.DataFrame({"a": rng.normal(size=24)}), index=ids)
    y = np.arange(24) // 2 % 2
    quick = {"feature_sets": ["HCR"], "classifiers": "LR", "cv": 2, "n_repeats": 1}
    with pytest.raises(ValueError, match=r"12 ids have several rows: \['P0', .*groups=X.index"):
        compare_feature_sets(table, y, **quick, baselines=False)
    found = compare_feature_sets(table, y, groups=table.index, baselines=False, **quick)
    for _, one in found.predictions.groupby("sample"):
        assert one["fold"].nunique() == 1
    assert read_groups(None, table).tolist() == ids
    assert read_groups(None, make_rows()) is None


def test_a_fit_tunes_on_splits_of_whole_patients(monkeypatch):
    ids = [f"P{k // 2}" for k in range(40)]
    table = LesionTable(pd.DataFrame({"a": np.arange(40) // 2 * 1.0}), index=ids)
    seen = []

    def spy(y, groups, seed, **more):
        seen.append(groups)
        return inner_splits(y, groups, seed, **more)

    monkeypatch.setattr("nonredundant.folds.fold_model.inner_splits", spy)
    FeatureSetClassifier("HCR").fit(table, np.arange(40) // 2 % 2)
    assert seen[0].tolist() == ids
