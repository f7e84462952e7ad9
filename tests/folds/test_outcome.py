"""Times to an event as outcome."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import (
    TIMES,
    compare_patients,
    make_patients,
    make_table,
)
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.metrics import concordance_index_censored

from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.folds.outcome import read_outcome


def test_risks_are_scored_by_their_concordance(patient_cohort, times):
    table = patient_cohort[0]
    found = compare_patients(
        table,
        times,
        patients="max",
        classifiers={"mine": CoxPHSurvivalAnalysis(alpha=1.0)},
        feature_sets=["HCR", "HCR+DLR"],
    )
    assert found.settings.scoring == ["concordance_index"]
    assert found.settings.cohort.class_counts == {
        "censored": int((~times["event"]).sum()),
        "event": int(times["event"].sum()),
    }
    scores = found.scores.query("feature_set == 'HCR'").set_index("fold")["score"]
    for fold, one in found.predictions.query("feature_set == 'HCR'").groupby("fold"):
        expected = concordance_index_censored(one["y"] == "event", one["time"], one["score"])[0]
        assert scores[fold] == pytest.approx(expected)
    assert found.summary["mean"].iloc[0] > 0.7
    assert "concordance index" in found.answer()


def test_times_that_cannot_be_learned_from(patient_cohort, times):
    with pytest.raises(ValueError, match=r"y: y has 60 times but there are 59"):
        compare_patients(patient_cohort[0][:59], times)
    none = times.copy()
    none["event"] = False
    with pytest.raises(ValueError, match="none of the 60 patients had the event"):
        compare_patients(patient_cohort[0], none)


def test_folds_without_a_pair_of_times_are_refused(patient_cohort):
    y = np.array([(True, 5.0), (False, 1.0), (True, 9.0), (False, 2.0)] * 3, dtype=TIMES)
    with pytest.raises(ValueError, match=r"fold \d of repeat 0: of its 2 held-out samples"):
        compare_patients(patient_cohort[0][:12], y, cv=6)


def test_an_unusable_test_set_is_refused_before_the_run(patient_cohort, times, monkeypatch):
    monkeypatch.setattr("nonredundant.evaluation.compare.run", None)
    table, y, _ = patient_cohort
    y_test = np.array([0, 1, 1])
    new = make_patients(seed=7)[0][:3].replace(index=["new0", "new1", "new2"])
    lost = new.replace(status=["gone", "ok", "ok"])
    with pytest.raises(ValueError, match=r"has the classes \[1\] alone among the 2 samples"):
        compare_patients(table, y, test=(lost, y_test))
    alike = times[:3].copy()
    alike["event"], alike["time"] = [True, False, False], [5.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="no two times can be compared"):
        compare_patients(table, times, test=(new, alike), classifiers="Cox")


def test_nobody_censored_is_told_once():
    y = np.array([(True, 3.0), (True, 5.5)], dtype=[("event", bool), ("time", float)])
    with pytest.warns(UserWarning, match="y: all 2 patients had the event and nobody") as told:
        read_outcome(y, y, 2, 2)
    assert len(told) == 1


def test_times_of_samples_with_one_lesion_are_read():
    from nonredundant.evaluation.leaks import check_target

    table, _ = make_table(20)
    y = np.zeros(20, dtype=[("event", bool), ("time", float)])
    assert check_target(y, table, []) is None


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y is None: give the labels of the 4 samples"),
        (np.eye(4), r"y has the shape \(4, 4\): give one label per sample"),
        (["no", 1, "no", 1], r"y mixes text and other labels, \['no', 1\]"),
        (np.zeros(4), "contains only the class 0.0;"),
    ],
)
def test_what_is_no_label_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        read_outcome(y, None, 4, 0)


@pytest.mark.parametrize("held", [[True, False], ["1", "0"], [1.0, 0.0], ["True", "False"]])
@pytest.mark.parametrize("y", [[0, 1], [False, True], ["0", "1"], [0.0, 1.0]])
def test_labels_of_a_test_set_may_be_written_otherwise(y, held):
    assert read_outcome(y * 2, held, 4, 2).test.y.tolist() == [1, 0]


def test_labels_of_a_test_set_that_are_unknown_are_named():
    with pytest.raises(ValueError, match=r"not in y: \['2', 'no'\]; those of y are \[0, 1\]"):
        read_outcome([0, 1, 0, 1], ["0", "1", "no", "2"], 4, 4)
    with pytest.raises(ValueError, match="test set contains only the class 1;"):
        read_outcome([0, 1, 0, 1], [1, 1], 4, 2)
    assert read_outcome([[0], [1]], None, 2, 0).classes.tolist() == [0, 1]


def test_minus_one_beside_two_classes_is_no_class():
    message = r"y is -1 in 2 of 6 samples, beside the labels \[0.*, 1.*\]: .*Leave these samples"
    for kind in (int, float, object):
        y = np.array([0, 1, -1, 0, 1, -1], dtype=kind)
        with pytest.raises(ValueError, match=message):
            read_outcome(y, None, 6, 0)
    table, _ = make_table(60)
    message = message.replace("2 of 6", "20 of 60")
    with pytest.raises(ValueError, match=message):
        compare_patients(table, np.arange(60) % 3 - 1)
    with pytest.raises(ValueError, match=message):
        FeatureSetClassifier("HCR").fit(table, np.arange(60) % 3 - 1)


@pytest.mark.parametrize("y", [[-1, 1, 1, -1], [-1, 0, 0, -1], ["-1", "0", "1", "1"], [1, 2, 3, 3]])
def test_minus_one_is_one_of_two_classes(y):
    assert read_outcome(y, None, 4, 0).classes.tolist() == sorted(set(y))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_label_is_no_class(value):
    with pytest.raises(ValueError, match=r"y is infinite for 2 samples, at positions \[1, 4\]"):
        read_outcome([0, value, 1, 0, value, 1], None, 6, 0)
    with pytest.raises(ValueError, match=r"test set's y is infinite for 1 samples"):
        read_outcome([0, 1, 0, 1], [1, value], 4, 2)


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
