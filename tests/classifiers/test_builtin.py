"""Built-in classifiers, users' classifiers, class weights and samplers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import (
    compare,
    compare_patients,
    make_table,
)
from imblearn.over_sampling import ADASYN, SMOTE
from imblearn.under_sampling import EditedNearestNeighbours
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sksurv.linear_model import CoxPHSurvivalAnalysis

from nonredundant import LesionTable
from nonredundant.classifiers.builtin import NAMES, check_kinds, make_sampler
from nonredundant.patients import LesionPooling


@pytest.mark.parametrize("classifier", ["SVM", "RF"])
def test_built_in_classifiers_rank_and_give_probabilities(cohort, classifier):
    found = compare(*cohort, classifiers=classifier, feature_sets=["HCR+DLR"])
    assert found.summary["mean"].iloc[0] > 0.7
    assert found.predictions["score"].between(0, 1).all()
    threshold = found.choices["threshold"]
    assert threshold.between(0, 1).all()


@pytest.mark.parametrize("sampler", ["smote", "over", "under"])
def test_samplers_change_training_rows_only(cohort, sampler):
    table, y = cohort
    keep = np.flatnonzero((y == 0) | (np.arange(len(y)) % 3 == 0))
    found = compare(table[keep], y[keep], feature_sets=["HCR"], sampler=sampler)
    assert len(found.predictions) == len(keep)


def test_class_weight_reaches_the_classifier_but_does_not_override_the_users(cohort):
    balanced = compare(*cohort, feature_sets=["HCR"], class_weight="balanced")
    model = balanced.models["HCR", "LR", 0, 0].named_steps["classifier"]
    assert model.class_weight == "balanced"
    own = {"LR": LogisticRegression(class_weight={0: 1, 1: 2})}
    kept = compare(*cohort, classifiers=own, feature_sets=["HCR"], class_weight="balanced")
    assert kept.models["HCR", "LR", 0, 0].named_steps["classifier"].class_weight == {0: 1, 1: 2}


def test_classifiers_of_the_users_own(cohort):
    boosted = GradientBoostingClassifier(n_estimators=5)
    found = compare(*cohort, classifiers=["LR", boosted], feature_sets=["HCR"])
    assert found.settings.classifiers == ["LR", "GradientBoostingClassifier"]


def test_weights_of_classes_go_by_their_labels(patient_cohort):
    table, y, _ = patient_cohort
    labels = np.where(y == 1, "relapse", "well")
    found = compare_patients(table, labels, class_weight={"relapse": 9.0, "well": 1.0})
    plain = compare_patients(table, labels)
    heavy, even = (f.models["Clinical+HCR", "LR", 0, 0].predict_proba for f in (found, plain))
    x = LesionPooling().fit_transform(table)
    assert heavy(x)[:, 0].mean() > even(x)[:, 0].mean() + 0.1
    with pytest.raises(ValueError, match="class_weight names"):
        compare_patients(table, labels, class_weight={"cured": 2.0})


class MarginOnly(ClassifierMixin, BaseEstimator):
    """A user's classifier without probabilities."""

    def fit(self, X, y):
        self.model_ = LinearDiscriminantAnalysis().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def decision_function(self, X):
        return self.model_.decision_function(X)

    def predict(self, X):
        return self.model_.predict(X)


class ProbabilityOnly(MarginOnly):
    """A user's classifier without margins."""

    decision_function = None

    def predict_proba(self, X):
        return self.model_.predict_proba(X)


class Contradictory(ProbabilityOnly):
    """A user's classifier whose probabilities fall where its margins rise, as some `SVC`'s do."""

    def decision_function(self, X):
        return -self.model_.decision_function(X)


OWN = {"margin": MarginOnly(), "probability": ProbabilityOnly(), "both": Contradictory()}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", [*NAMES, *OWN])
def test_stored_predictions_rank_as_what_was_scored(name, n_classes):
    """Weak effects: Platt's slope of the SVM was below 0 in a third of such folds."""
    table, y = make_table(45, hidden=0.0, visible=0.3, n_classes=n_classes, seed=4)
    own = {name: OWN[name]} if name in OWN else name
    repeats = 3 if name == "SVM" else 1
    found = compare(table, y, classifiers=own, feature_sets=["HCR"], n_repeats=repeats)
    score = found.scores.set_index(["repeat", "fold"])["score"]
    predicted = found.predictions.set_index(["repeat", "fold"])
    for place, fold in predicted.groupby(level=[0, 1]):
        truth = fold["y"].to_numpy()
        if n_classes == 2:
            stored = roc_auc_score(truth, fold["score"])
        else:
            p = fold[[f"score_{k}" for k in range(3)]].to_numpy()
            stored = np.mean([roc_auc_score(truth == k, p[:, k]) for k in range(3)])
        assert score[place] == pytest.approx(stored)


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (SMOTE(), r"SMOTE\(k_neighbors=5\) interpolates between 6 samples .* has 2 of the rarest"),
        (ADASYN(), r"ADASYN\(n_neighbors=5\)"),
        (SMOTE, "sampler must be 'smote', 'over', 'under' or a sampler"),
        (3, "got 3"),
    ],
)
def test_a_sampler_that_cannot_resample_says_why(sampler, message):
    with pytest.raises(ValueError, match=message):
        make_sampler(sampler, 0, smallest=2)


def test_smote_takes_as_many_neighbours_as_the_rarest_class_has():
    assert make_sampler("smote", 0, smallest=4).k_neighbors == 3
    assert make_sampler("smote", 0, smallest=2).k_neighbors == 1
    with pytest.raises(ValueError, match="1 of the rarest: use sampler='over'"):
        make_sampler("smote", 0, smallest=1)
    assert make_sampler(EditedNearestNeighbours(), 0, smallest=1) is not None


def test_four_of_a_class_are_resampled_by_smote():
    rng = np.random.default_rng(0)
    table = LesionTable(pd.DataFrame(rng.normal(size=(30, 2)), columns=["a", "b"]))
    y = np.repeat([0, 1], [26, 4])
    found = compare(table, y, classifiers="SVM", feature_sets=["HCR"], cv=4, sampler="smote")
    assert found.scores["score"].notna().all()


def test_a_classifier_that_knows_no_times_is_refused_for_them_and_the_other_way_round():
    with pytest.raises(ValueError, match="'mine' predicts classes, and y holds times"):
        check_kinds({"mine": LogisticRegression()}, kind="times")
    with pytest.raises(ValueError, match="'mine' predicts numbers, and y holds classes"):
        check_kinds({"mine": Ridge()}, kind="classes")
    check_kinds({"mine": CoxPHSurvivalAnalysis(), "Cox": None}, kind="times")
    check_kinds({"mine": LogisticRegression(), "LR": None}, kind="classes")
