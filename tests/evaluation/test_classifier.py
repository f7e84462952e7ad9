"""One feature set and classifier on a whole cohort."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skops.io
from cohorts_for_tests import (
    GRAPH,
    PLAIN,
    CheapNetwork,
    compare_patients,
    make_table,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.metrics import concordance_index_censored

from nonredundant import LesionTable
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.patients import LesionGraphSurvival


@pytest.mark.parametrize("classifier", ["LR", "SVM", "RF"])
@pytest.mark.parametrize("feature_set", ["HCR", "HCR+DLR-MI", "HCR+DLR-residual", "volume"])
def test_one_model_predicts_what_it_was_trained_for(cohort, feature_set, classifier):
    table, y = cohort
    names = np.array(["no", "yes"])[y]
    model = FeatureSetClassifier(
        feature_set, classifier=classifier, cvae=CheapNetwork(), random_state=0
    )
    p = model.fit(table[:60], names[:60]).predict_proba(table[60:])
    assert p.shape == (30, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert set(model.predict(table[60:])) <= {"no", "yes"}
    if feature_set.startswith("HCR+"):
        assert roc_auc_score(y[60:], p[:, 1]) > 0.75


def test_a_case_that_could_not_be_read_has_no_prediction(cohort):
    table, y = cohort
    model = FeatureSetClassifier("HCR").fit(table, y)
    status = ["the mask is empty", *["ok"] * 89]
    broken = table.replace(status=status)
    p = model.predict_proba(broken)
    assert np.isnan(p[0]).all()
    assert not np.isnan(p[1:]).any()
    with pytest.raises(ValueError, match="1 cases could not be read"):
        model.predict(broken)


@pytest.mark.parametrize("patients", ["max", "graph"])
def test_one_model_of_patients_predicts_and_is_saved(patient_cohort, patients, tmp_path):
    table, y, _ = patient_cohort
    way = GRAPH if patients == "graph" else patients
    model = FeatureSetClassifier("HCR", patients=way, random_state=0).fit(table, y)
    p = model.predict_proba(table)
    assert p.shape == (len(table), 2)
    file = tmp_path / "model.skops"
    skops.io.dump(model, file)
    trusted = skops.io.get_untrusted_types(file=file)
    assert all(t.startswith("nonredundant.") or t == "numpy.dtype" for t in trusted), trusted
    again = skops.io.load(file, trusted=trusted)
    assert np.array_equal(again.predict_proba(table), p)


@pytest.mark.parametrize(
    ("feature_set", "settings"),
    [
        ("HCR", {"patients": LesionGraphSurvival(max_epochs=2, device="cpu")}),
        ("HCR+DLR-residual", {"patients": "max"}),
        ("dissemination", {"classifier": "RSF"}),
        ("H2", {"classifier": CoxPHSurvivalAnalysis(alpha=1.0)}),
    ],
)
def test_one_model_of_times_predicts_risks(patient_cohort, times, feature_set, settings):
    table = patient_cohort[0]
    model = FeatureSetClassifier(feature_set, cvae=CheapNetwork(), random_state=0, **settings)
    risk = model.fit(table, times).predict(table)
    assert risk.shape == (len(table),)
    expected = concordance_index_censored(times["event"], times["time"], risk)[0]
    assert model.score(table, times) == pytest.approx(expected)
    assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize("classifier", [None, "RSF"])
def test_a_model_of_times_is_saved(patient_cohort, times, classifier, tmp_path):
    table = patient_cohort[0]
    frame = pd.DataFrame({"event": times["event"], "months": times["time"]})
    model = FeatureSetClassifier("HCR", classifier=classifier, patients="max", random_state=0)
    model.fit(table, frame)
    file = tmp_path / "model.skops"
    skops.io.dump(model, file)
    trusted = skops.io.get_untrusted_types(file=file)
    own = [t for t in trusted if not t.startswith(("nonredundant.", "sksurv."))]
    assert set(own) <= {"numpy.dtype", "sklearn.tree._tree.Tree"}
    again = skops.io.load(file, trusted=trusted)
    assert np.array_equal(again.predict(table), model.predict(table))


def test_one_model_is_what_a_comparison_fits_in_a_fold(patient_cohort, times):
    """A patient_cohort of a fold's training patients gets the classifier that the fold has."""
    table, y, _ = patient_cohort
    for outcome, name in ((y, "LR"), (times, "Cox")):
        found = compare_patients(table, outcome, classifiers=name, feature_sets=["H2", "HCR"])
        train = ~table.index.isin(found.predictions.query("fold == 0")["sample"])
        for one in ("H2", "HCR"):
            model = FeatureSetClassifier(one, random_state=0).fit(table[train], outcome[train])
            assert model.feature_set_ == f"Clinical+{one}"
            fold = found.models[model.feature_set_, name, 0, 0].named_steps
            own = model.model_.named_steps
            np.testing.assert_array_equal(own["blocks"].mean_, fold["blocks"].mean_)


def test_a_graph_needs_features_of_lesions(patient_cohort):
    with pytest.raises(ValueError, match="which the set 'Clinical' does not"):
        FeatureSetClassifier("Clinical", patients=GRAPH).fit(*patient_cohort[:2])


def first_lesions(table):
    """Return the patients with their first lesion alone."""
    first = np.searchsorted(table.sample, np.arange(len(table)))
    return LesionTable(
        table.features.iloc[first].reset_index(drop=True),
        blocks=table.blocks,
        patches=table.patches[first],
        positions=table.positions[first],
        index=table.index,
    )


@pytest.mark.parametrize(
    ("feature_set", "patients"),
    [("HCR", "max"), ("HCR", ["mean", "sum"]), ("HCR+DLR", "volume"), ("dissemination", "mean")],
)
def test_a_model_knows_patients_of_any_number_of_lesions(patient_cohort, feature_set, patients):
    table, y, _ = patient_cohort
    single = first_lesions(table)
    for one, other in ((table, single), (single, table)):
        model = FeatureSetClassifier(
            feature_set, classifier=PLAIN["LR"], patients=patients, cvae=CheapNetwork()
        )
        assert model.fit(one, y).predict_proba(other).shape == (60, 2)


def test_an_empty_selection_and_infinity_are_named_at_fit_and_predict(cohort):
    table, y = cohort
    model = FeatureSetClassifier("HCR").fit(table, y)
    with pytest.raises(ValueError, match="X is a table without samples"):
        FeatureSetClassifier("HCR").fit(table[:0], y[:0])
    with pytest.raises(ValueError, match="the case table has no rows"):
        FeatureSetClassifier("HCR").fit(pd.DataFrame({"image": [], "mask": []}), [])
    with pytest.raises(ValueError, match="X is a table without samples"):
        model.predict(table[:0])
    features = table.features.copy()
    features.iloc[2, 0] = -np.inf
    with pytest.raises(ValueError, match=rf"infinite: columns \['{features.columns[0]}'\]"):
        model.predict_proba(table.replace(features=features))


def test_columns_are_matched_by_name(cohort):
    table, y = cohort
    model = FeatureSetClassifier("HCR", random_state=0).fit(table, y)
    turned = table.replace(features=table.features[table.columns[::-1]])
    np.testing.assert_array_equal(model.predict_proba(turned), model.predict_proba(table))
    fewer = table.replace(features=table.features[table.columns[1:]])
    with pytest.raises(ValueError, match=rf"Missing: \['{table.columns[0]}'\]"):
        model.predict_proba(fewer)
    with pytest.raises(ValueError, match=r"Unseen at fit: \['more'\]"):
        model.predict_proba(table.replace(features=table.features.assign(more=1.0)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"feature_set": ["HCR"]}, "'feature_set' .* name of one set, .*Got .'HCR'."),
        ({"feature_set": None}, "'feature_set' .* Got None"),
        ({"classifier": ["LR", "SVM"]}, "classifier must be one name or estimator"),
        ({"extractor": "PET"}, "'extractor' parameter of FeatureSetClassifier .* Got 'PET'"),
        ({"cvae": CheapNetwork}, "Got the class CheapNetwork: write CheapNetwork"),
    ],
)
def test_parameters_of_a_wrong_kind_are_named(cohort, parameters, message):
    with pytest.raises(ValueError, match=message):
        FeatureSetClassifier(**{"feature_set": "HCR", **parameters}).fit(*cohort)


def test_a_model_of_lesions_says_that_it_cannot_read_images(cohort):
    table, y = cohort
    model = FeatureSetClassifier("HCR").fit(table, y)
    for X in (pd.DataFrame({"image": ["a.nii"], "mask": ["b.nii"]}), np.zeros((2, 3))):
        with pytest.raises(TypeError, match="fitted on a LesionTable and cannot read images"):
            model.predict(X)


def test_one_sample_of_a_class_is_named():
    table, _ = make_table(10)
    with pytest.raises(ValueError, match=r"rarest class, b, has 1 sample, and tuning .*needs 2"):
        FeatureSetClassifier("HCR").fit(table, ["a"] * 9 + ["b"])
    own = FeatureSetClassifier("HCR", classifier=LogisticRegression())
    assert own.fit(table, ["a"] * 9 + ["b"]).predict(table).shape == (10,)
