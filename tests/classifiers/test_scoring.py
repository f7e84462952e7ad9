"""Metrics by name, as scorers, and what is neither."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, get_scorer, make_scorer, roc_auc_score

from nonredundant.classifiers.scoring import CONCORDANCE, Recorded, resolve_scoring


def test_metrics_are_read_from_names_scorers_and_dicts():
    y = np.array([0, 1, 1, 0])
    recorded = Recorded(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]))
    scoring = {"auc": "roc_auc", "right": make_scorer(accuracy_score)}
    scorers = resolve_scoring(scoring, 2)
    assert list(scorers) == ["auc", "right"]
    found = {name: scorer(recorded, np.arange(4), y) for name, scorer in scorers.items()}
    assert found == {"auc": roc_auc_score(y, [0.1, 0.8, 0.4, 0.7]), "right": 0.5}
    assert list(resolve_scoring("roc_auc", 3)) == ["roc_auc_ovr"]
    assert list(resolve_scoring(["accuracy", get_scorer("f1")], 2))[0] == "accuracy"
    assert list(resolve_scoring("roc_auc", 0)) == [CONCORDANCE]


@pytest.mark.parametrize("scoring", [roc_auc_score, {"auc": roc_auc_score}, [accuracy_score]])
def test_a_metric_function_is_told_how_to_become_a_scorer(scoring):
    with pytest.raises(ValueError, match=r"a scorer of \(estimator, X, y\) is .*make_scorer"):
        resolve_scoring(scoring, 2)


@pytest.mark.parametrize("scoring", ["auc", {"auc": "auc"}, [3]])
def test_unknown_metrics_are_named(scoring):
    with pytest.raises(ValueError, match="unknown scoring"):
        resolve_scoring(scoring, 2)
