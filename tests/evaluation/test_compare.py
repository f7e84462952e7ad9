"""Comparisons of feature sets as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from cohorts_for_tests import (
    CheapNetwork,
    compare,
    make_table,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from nonredundant import LesionTable


def test_a_held_out_test_set_is_predicted_by_the_mean_of_the_fold_models(cohort):
    table, y = cohort
    train, test = np.arange(60), np.arange(60, 90)
    found = compare(table[train], y[train], test=(table[test], y[test]), feature_sets=["HCR"])
    columns = list(table.columns)
    X = table[test].features[columns].to_numpy()
    p = np.mean([found.models["HCR", "LR", 0, k].predict_proba(X)[:, 1] for k in range(3)], axis=0)
    np.testing.assert_allclose(found.predictions["score"], p)
    assert found.summary["mean"].iloc[0] == pytest.approx(roc_auc_score(y[test], p))
    assert set(found.cv_predictions["sample"]) == set(table.index[train])
    assert found.settings.n_test == 30


def test_more_than_two_classes():
    table, y = make_table(n_classes=3)
    names = np.array(["a", "b", "c"])[y]
    settings = {"classifiers": ["LR", "SVM"], "feature_sets": ["HCR", "HCR+DLR"], "cv": 2}
    found = compare(table, names, **settings)
    assert found.settings.scoring == ["roc_auc_ovr"]
    scores = found.predictions[["score_a", "score_b", "score_c"]].to_numpy()
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert set(found.predictions["y"]) == {"a", "b", "c"}
    with pytest.raises(ValueError, match="two classes"):
        found.calibration()


def test_several_lesions_a_sample_are_averaged():
    table, y = make_table(60)
    twice = np.repeat(np.arange(60), 2)
    doubled = LesionTable(
        table.features.iloc[twice].reset_index(drop=True),
        patches=table.patches[twice],
        masks=table.masks[twice],
        sample=twice,
        index=table.index,
    )
    once, both = (compare(t, y, feature_sets=["HCR", "HCR+DLR"]) for t in (table, doubled))
    np.testing.assert_allclose(once.scores["score"], both.scores["score"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(90)}, "contains only the class"),
        ({"y": np.tile([0, 1], 40)}, "y has 80 labels but there are 90 samples"),
        ({"y": np.where(np.arange(90) == 4, np.nan, np.arange(90) % 2)}, "no label for 1 samples"),
        ({"y": np.linspace(0, 1, 90)}, "90 different values"),
        ({"feature_sets": []}, "feature_sets is empty"),
        ({"feature_sets": ["XYZ"]}, "unknown feature set 'XYZ'"),
        ({"classifiers": ["XGB"]}, "unknown classifier 'XGB'"),
        ({"classifiers": []}, "classifiers is empty"),
        ({"classifiers": [LogisticRegression(), LogisticRegression()]}, "two classifiers"),
        ({"scoring": "beauty"}, "unknown scoring 'beauty'"),
        ({"scoring": []}, "scoring is empty"),
        ({"sampler": "magic"}, "unknown sampler 'magic'"),
        ({"experiment": "nature2030"}, "unknown experiment 'nature2030'"),
        ({"groups": np.arange(7)}, "groups has shape"),
        ({"test": 5}, "test must be a pair"),
        ({"cvae": CheapNetwork(independence=None)}, "needs an independence term"),
    ],
)
def test_wrong_use_is_explained(cohort, change, message):
    table, y = cohort
    y = change.pop("y", y)
    with pytest.raises(ValueError, match=message):
        compare(table, y, **change)
