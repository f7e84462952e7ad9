"""What graph estimators need to know of the columns: which are clinical variables."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_for_tests import NET, GraphOfTimes, make_cohort
from sklearn.inspection import permutation_importance

from nonredundant.patients import LesionGraphClassifier, LesionPooling


@pytest.mark.parametrize("model", [LesionGraphClassifier, GraphOfTimes])
def test_what_does_not_tell_clinical_variables_from_features_is_refused(model):
    table, y = make_cohort(24, several=False)
    fitted = model(hidden_size=4, heads=2, **NET).fit(table, y)
    with pytest.raises(ValueError, match=r"\['age'\], which X, of type ndarray.*LesionTable"):
        fitted.predict(np.asarray(table))
    with pytest.raises(ValueError, match=r"\['age'\], which X, of type DataFrame.*LesionTable"):
        fitted.predict(table.features)
    with pytest.raises(ValueError, match=r"another block than at fit: \['age'\].*'clinical'"):
        fitted.predict(table.replace(blocks={}))
    with pytest.raises(ValueError, match=r"Missing: \['age'\]"):
        fitted.predict(table[:, ["original_a", "original_b"]])
    with pytest.raises(ValueError, match=r"permutation_importance, need a model .* LesionPooling"):
        permutation_importance(fitted, table, y)


def test_a_model_of_pooled_lesions_has_permutation_importances():
    table, y = make_cohort(24, several=False)
    matrix = LesionPooling().fit_transform(table)
    fitted = LesionGraphClassifier(hidden_size=4, heads=2, **NET).fit(matrix, y)
    assert permutation_importance(fitted, matrix, y).importances_mean.shape == (3,)
