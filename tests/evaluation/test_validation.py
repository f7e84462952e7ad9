"""A fitted model on a cohort that it has not seen."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pandas as pd
import pytest
import skops.io
from cohorts_for_tests import CheapNetwork, make_patients, make_table, make_times
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from nonredundant import LesionTable
from nonredundant.cli.model_files import load_model
from nonredundant.evaluation import FeatureSetClassifier, validate_model
from nonredundant.evaluation.performance import training_performance
from nonredundant.report import model_card
from nonredundant.report.formatting import format_estimate
from nonredundant.statistics import calibration_summary, concordance_index, net_benefit

PLAIN = LogisticRegression(C=0.1)


@pytest.fixture(scope="module")
def model():
    """A fused model with its reference and fold models, fitted on 120 lesions."""
    table, y = make_table(120)
    made = FeatureSetClassifier(
        "HCR+DLR", classifier=PLAIN, cvae=CheapNetwork(), reference=True, cv=4, random_state=0
    )
    return made.fit(table, y)


@pytest.fixture(scope="module")
def other():
    """Another 200 lesions of the same kind."""
    table, y = make_table(200, seed=1)
    return table.replace(index=[f"other{i:03d}" for i in range(200)]), y


@pytest.fixture(scope="module")
def found(model, other):
    return validate_model(model, *other, thresholds=[0.3, 0.6])


def value(found, measure, name="HCR+DLR"):
    rows = found.scores[(found.scores["model"] == name) & (found.scores["measure"] == measure)]
    return rows.iloc[0]


def test_scores_are_those_of_the_frozen_model(model, other, found):
    table, y = other
    p = model.predict_proba(table)[:, 1]
    reference = FeatureSetClassifier("HCR", classifier=PLAIN, random_state=0)
    known = reference.fit(*make_table(120)).predict_proba(table)[:, 1]
    np.testing.assert_allclose(found.predictions["reference_p_1"], known)
    auc, of_known = roc_auc_score(y, p), roc_auc_score(y, known)
    assert value(found, "AUC")["estimate"] == pytest.approx(auc)
    assert value(found, "AUC", "HCR")["estimate"] == pytest.approx(of_known)
    first = found.gain.iloc[0]
    assert first["estimate"] == pytest.approx(auc - of_known)
    assert first["low"] > 0
    expected = calibration_summary(y, p)
    for measure, key in (("calibration in the large", "intercept"), ("calibration slope", "slope")):
        row = value(found, measure)
        assert row["estimate"] == expected[key]
        assert (row["low"], row["high"]) == (expected[f"{key}_low"], expected[f"{key}_high"])
    benefit = found.net_benefit[found.net_benefit["model"] == "HCR+DLR"]
    at = net_benefit(y, p, [0.3, 0.6])
    np.testing.assert_allclose(benefit["net_benefit"], at["net_benefit"])
    over_all = at["net_benefit"] - at["treat_all"]
    np.testing.assert_allclose(benefit["over_all"], over_all, atol=1e-12)
    assert (benefit["low"] < benefit["net_benefit"]).all()


def test_labels_of_the_cohort_change_no_prediction(model, other, found):
    table, y = other
    turned = validate_model(model, table, 1 - y)
    names = ["p_0", "p_1", "reference_p_1", "set", "outside"]
    pd.testing.assert_frame_equal(turned.predictions[names], found.predictions[names])


def test_a_fold_model_did_not_see_its_fold(model):
    table, y = make_table(120)
    held = model.out_of_fold_
    rows = held["fold"] == 2
    again = FeatureSetClassifier("HCR", classifier=PLAIN, cv=4, random_state=0).fit(table, y)
    assert np.array_equal(again.out_of_fold_["fold"], held["fold"])
    alone = FeatureSetClassifier("HCR", classifier=PLAIN).fit(table[~rows], y[~rows])
    expected = alone.predict_proba(table[rows])
    np.testing.assert_allclose(again.out_of_fold_["response"][rows], expected)
    np.testing.assert_allclose(held["reference"][rows], expected)


def test_patients_are_on_one_side_of_the_folds():
    table, y = make_table(60)
    patients = np.arange(60) // 2
    y = np.repeat(y[::2], 2)
    made = FeatureSetClassifier("HCR", classifier=PLAIN, cv=3, random_state=0)
    held = made.fit(table, y, groups=patients).out_of_fold_
    assert all(len(np.unique(held["fold"][patients == one])) == 1 for one in range(30))
    assert np.array_equal(held["group"], patients)


def test_sets_cover_cases_alike_and_fail_visibly_elsewhere(model, other, found):
    table, y = other
    assert (found.coverage["high"] > 0.9).all()
    assert found.coverage["estimate"][0] > 0.85
    assert "90 % were promised." in found.answer()
    seen = table.features["original_firstorder_Maximum"] + 4
    shifted = table.replace(
        features=table.features.assign(original_firstorder_Maximum=seen),
        patches=table.patches + np.where(np.arange(8) < 4, 0, 3),
    )
    fails = validate_model(model, shifted, y)
    assert fails.coverage["estimate"].min() < 0.3
    assert "they fail here" in fails.answer()
    assert "recalibrate before use here" in fails.answer()


def test_a_saved_model_gives_the_same_sets_and_contributions(model, other, tmp_path):
    table, _ = other
    plain = FeatureSetClassifier("HCR", reference=True, cv=3, random_state=0)
    plain.fit(*make_table(60))
    skops.io.dump(plain, tmp_path / "m.skops")
    again = load_model(tmp_path / "m.skops")
    pd.testing.assert_frame_equal(again.predict_set(table), plain.predict_set(table))
    parts = again.contributions(table)
    intercept = again.model_[-1].intercept_[0]
    p = again.predict_proba(table)[:, 1]
    np.testing.assert_allclose(parts.sum(axis=1) + intercept, np.log(p / (1 - p)))
    pd.testing.assert_frame_equal(again.performance(), plain.performance())
    assert plain.reference_ is None


def test_what_a_model_cannot_give_is_no_attribute(cohort):
    table, y = cohort
    forest = FeatureSetClassifier("HCR", classifier="RF", random_state=0).fit(table, y)
    assert not hasattr(forest, "predict_set")
    assert not hasattr(forest, "contributions")
    assert forest.performance().empty
    with pytest.raises(AttributeError) as raised:
        forest.predict_set(table)
    assert "fit it with cv=5" in str(raised.value.__cause__)
    assert "Not measured" in model_card(forest)
    with pytest.raises(ValueError, match="'cv' parameter of FeatureSetClassifier"):
        FeatureSetClassifier("HCR", cv=1).fit(table, y)
    with pytest.warns(UserWarning, match="the rarest class has too few samples for folds"):
        few = FeatureSetClassifier("HCR", classifier=PLAIN, cv=5).fit(table[:9], [1] + [0] * 8)
    assert few.out_of_fold_ is None


def test_the_report_and_tables_tell_the_same(found, model, other, tmp_path):
    page = found.to_html(tmp_path / "v.html").read_text(encoding="utf-8")
    for line in found.answer().splitlines():
        assert html.escape(line) in page
    for text in ("figure-reliability", "figure-benefit", "HCR+DLR against HCR", "Conformal sets"):
        assert text in page
    folder = found.to_csv(tmp_path / "tables")
    written = pd.read_csv(folder / "predictions.csv", index_col="sample")
    np.testing.assert_allclose(written["p_1"], found.predictions["p_1"])
    assert json.loads((folder / "settings.json").read_text())["n"] == 200
    assert len(found.plot().axes) >= 2
    card = model_card(model, outcome="relapse", validation=found)
    assert found.answer() in card
    assert "| Test data outside of cross-validation | yes |" in card
    assert "other000" not in card
    assert "case000" not in card


def test_cases_that_could_not_be_read_are_left_out(model, other):
    table, y = other
    broken = table.replace(status=["the mask is empty", *["ok"] * 199])
    some = validate_model(model, broken, y)
    assert (some.settings["n"], some.settings["n_failed"]) == (199, 1)
    assert some.predictions["p_1"].isna().tolist() == [True] + [False] * 199
    assert "the mask is empty" in some.predictions["status"].iloc[0]


def test_times_have_concordance_events_and_gain():
    train, _, hottest = make_patients(80)
    other, _, heat = make_patients(70, seed=3)
    made = FeatureSetClassifier(
        "HCR+DLR", cvae=CheapNetwork(), patients="max", reference=True, cv=3, random_state=0
    )
    made.fit(train, make_times(hottest))
    times = make_times(heat, seed=5)
    found = validate_model(made, other, times)
    first = found.scores.iloc[0]
    risk = made.predict(other)
    assert first["estimate"] == pytest.approx(
        concordance_index(times["event"], times["time"], risk)
    )
    assert first["low"] < first["estimate"] < first["high"]
    ratio = value(found, "observed / expected", made.feature_set_)
    assert ratio["low"] < 1.3
    assert ratio["high"] > 0.7
    assert found.gain["measure"].tolist() == ["concordance index"]
    assert found.coverage.empty
    assert "concordance index" in found.answer()
    with pytest.raises(ValueError, match="two classes with probabilities"):
        found.plot()
    assert not hasattr(made, "predict_set")
    assert made.contributions(other).shape[0] == 70
    assert "no interval of the time" in model_card(made)


def test_three_classes_have_sets_and_one_calibration_each():
    table, y = make_table(120, n_classes=3)
    names = np.array(["a", "b", "c"])
    made = FeatureSetClassifier("HCR", classifier=PLAIN, cv=3, random_state=0)
    made.fit(table, names[y])
    other, truth = make_table(90, n_classes=3, seed=2)
    found = validate_model(made, other, names[truth])
    auc = roc_auc_score(truth, made.predict_proba(other), multi_class="ovr")
    assert found.scores["estimate"].iloc[0] == pytest.approx(auc)
    assert found.scores["class"].unique().tolist() == ["", "a", "b", "c"]
    assert found.coverage["cases"].tolist() == ["all", "a", "b", "c"]
    assert found.net_benefit.empty
    assert "Curves" not in found.answer()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(200, dtype=int), r"each class needs two cases .* \{'1': 0\}"),
        (np.full(200, 7), r"labels that the model does not know: \[7\]"),
        ([0, 1], r"y has the shape \(2,\), and there are 200 cases"),
    ],
)
def test_labels_that_do_not_fit_are_named(model, other, labels, message):
    with pytest.raises(ValueError, match=message):
        validate_model(model, other[0], labels)


def test_only_fitted_models_are_validated(other):
    with pytest.raises(TypeError, match="must be a fitted FeatureSetClassifier"):
        validate_model(PLAIN, *other)


def test_rows_of_one_patient_keep_their_own_values(model, other):
    table, y = other
    far = table.features.copy()
    far.iloc[1] += 1e3
    ids = [f"P{i // 2}" for i in range(200)]
    twice = table.replace(
        features=far, index=ids, status=["ok", "ok", "the mask is empty", *["ok"] * 197]
    )
    rows = validate_model(model, twice, y).predictions
    plain = validate_model(model, twice.replace(index=range(200)), y).predictions
    assert rows.index.tolist() == ids
    pd.testing.assert_frame_equal(rows.reset_index(drop=True), plain)
    assert rows["outside"].iloc[:3].tolist() == ["", "8 of 8 features out of range", ""]
    assert model.contributions(twice).isna().all(axis=1).tolist() == (rows["p_1"].isna()).tolist()


def test_lesions_of_other_cases_are_refused(model, other):
    table, y = other
    with pytest.raises(ValueError, match=r"are not those of the 200 cases .* \['other001'"):
        validate_model(model, table, y, lesions=table[1:])
    with pytest.raises(ValueError, match="are not those of the 200 cases"):
        model.outside(table, lesions=table[::-1])


@pytest.mark.parametrize("kind", [bool, float, str])
def test_labels_that_are_written_otherwise_are_the_same(model, other, found, kind):
    table, y = other
    pd.testing.assert_frame_equal(
        validate_model(model, table, y.astype(kind)).gain[:1], found.gain[:1]
    )


def test_what_no_case_has_is_named_and_cases_without_most_features_are_outside(model, other):
    table, y = other
    name = "original_glcm_F1"
    gone = table.replace(features=table.features.assign(**{name: np.nan}))
    found = validate_model(model, gone, y)
    assert found.settings["missing"] == [name]
    told = f"The model imputes 1 column, which is missing in all 200 cases: {name}."
    assert told in found.answer()
    assert (found.predictions["outside"] == "").sum() > 190
    empty = table.features.copy()
    empty.iloc[4] = np.nan
    some = validate_model(model, table.replace(features=empty), y)
    assert some.settings["missing"] == []
    assert some.predictions["outside"].iloc[4] == "8 of 8 features missing"


def test_scores_without_an_interval_say_why():
    y = np.tile([0, 1], 30)
    rng = np.random.default_rng(0)
    table = LesionTable(pd.DataFrame({"uptake": 100.0 * y + rng.normal(size=60)}))
    made = FeatureSetClassifier("HCR", cv=3, random_state=0).fit(table, y)
    reasons = made.performance().set_index("measure")["reason"]
    assert reasons["AUC"] == "every pair of held-out cases is ordered alike"
    assert reasons["calibration slope"] == "too few cases, or separated classes"
    found = validate_model(made, table, y)
    told = "1.000 (interval not estimable: every pair of held-out cases is ordered alike)"
    assert f"in the folds of its training cohort {told}." in found.answer()
    card = model_card(made, validation=found)
    assert "| AUC | 1.000 | not estimable: every pair of held-out cases is ordered alike |" in card
    for text in (found.answer(), card):
        assert re.search(r"\bnan\b", text) is None


def test_folds_of_one_class_each_are_told():
    held = {
        "y": np.array([0, 0, 1, 1]),
        "fold": np.array([0, 0, 1, 1]),
        "response": np.array([[0.4, 0.6], [0.7, 0.3], [0.2, 0.8], [0.5, 0.5]]),
    }
    first = training_performance(held, 2).iloc[0]
    assert np.isnan(first["estimate"])
    assert first["reason"] == "no fold holds every class, or an event"
    assert format_estimate(first) == f"not estimable: {first['reason']}"
    held["y"] = np.array([0, 0, 1, 2])
    held["response"] = np.eye(4)[:, :3]
    assert training_performance(held, 3)["reason"].tolist() == [first["reason"]]
    last = {"event": np.array([False, True] * 2), "time": np.array([1.0, 2.0, 1.0, 2.0])}
    assert training_performance(held | last, 0)["reason"].tolist() == [first["reason"]]
