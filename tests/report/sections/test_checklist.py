"""The checklist follows from the run."""

from __future__ import annotations

import numpy as np
from cohorts_for_tests import make_table
from pages_for_tests import compare, read

from nonredundant.folds.simple_sets import SIMPLE


def test_checklist_is_read_off_the_run(found, page, plain, tmp_path, no_pictures):
    assert page.answer_to("Data split") == ["yes", "cross-validation, 3 folds"]
    assert page.answer_to("Related samples")[0] == "no"
    assert page.answer_to("Test data outside") == ["no", "none: internal validation only"]
    assert page.answer_to("Cases left out") == ["yes", "1 of 64"]
    assert page.answer_to("Class imbalance") == ["no", "not corrected"]
    assert page.answer_to("Discretisation")[0] == "no"
    assert page.answer_to("Missing values") == ["yes", "by the median"]
    assert page.answer_to("Algorithms") == [
        "yes",
        "LR: RidgeLogistic, mine: LogisticRegression",
    ]
    assert page.answer_to("Tuning")[0] == "no"
    assert page.answer_to("Calibration and clinical")[0] == "yes"
    assert page.answer_to("Comparison with models without")[0] == "no"
    n_tests = found.tests["p_value"].notna().sum()
    assert page.answer_to("Paired tests") == [
        "yes",
        f"{n_tests} tests (influence curve), Holm",
    ]
    short = read(plain, tmp_path)
    assert short.answer_to("Tuning") == ["no", "none: classifiers as passed"]
    assert short.answer_to("Calibration and clinical")[0] == "no"
    assert short.answer_to("Paired tests") == ["not applicable", "none"]
    assert short.answer_to("Parameters of the network") == [
        "not applicable",
        "no network was trained",
    ]


def test_checklist_and_tables_know_a_test_set_groups_and_weights(tmp_path, no_pictures):
    table, y = make_table(90)
    table = table.replace(patches=None, masks=None)
    names = np.array(["no", "yes"])[y]
    comparison = compare(
        table[:60],
        names[:60],
        test=(table[60:], names[60:]),
        groups=np.arange(60) // 2,
        classifiers="SVM",
        baselines=True,
        cv=2,
        class_weight="balanced",
    )
    page = read(comparison, tmp_path)
    events = int((y[60:] == 1).sum())
    assert page.answer_to("Related samples")[0] == "yes"
    assert page.answer_to("Test data outside") == ["yes", "30 held-out samples"]
    assert page.answer_to("Class imbalance") == ["yes", "class weight balanced"]
    assert page.answer_to("Algorithms") == ["yes", "SVM: SVC"]
    assert page.answer_to("Missing values") == ["yes", "by the median"]
    assert page.answer_to("Tuning")[0] == "yes"
    simple = [one.name for one in SIMPLE.values() if not one.several_lesions]
    assert {"volume", "max intensity", "volume + max intensity"} <= set(simple)
    assert page.answer_to("Comparison with models without") == ["yes", ", ".join(simple)]
    assert f"yes: {events} ({100 * events / 30:.0f} %)" in page.answer_to("Samples and events")[1]
    for where in ("Scores on the held-out test set", "Scores in cross-validation"):
        assert where in page.text
