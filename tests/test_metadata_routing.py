"""scikit-learn's metadata routing: groups and sample weights reach the steps that ask for them."""

from __future__ import annotations

import numpy as np
import pytest
from estimators_for_tests import NET, make_cohort
from sklearn import config_context
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.metadata_routing import get_routing_for_object

from nonredundant import NonRedundantCVAE
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.patients import LesionPooling

GROUPS = np.arange(32) // 4


@pytest.fixture(autouse=True)
def routed():
    with config_context(enable_metadata_routing=True):
        yield


class GroupsSeen(LogisticRegression):
    """A classifier that stores the groups it was fitted with."""

    def fit(self, X, y, groups=None, sample_weight=None):
        """Fit, and store the groups."""
        self.groups_ = groups
        return super().fit(X, y, sample_weight=sample_weight)


def make_weighted():
    final = LogisticRegression().set_fit_request(sample_weight=True)
    final.set_score_request(sample_weight=True)
    return make_pipeline(NonRedundantCVAE(2, **NET), LesionPooling(), final)


def test_sample_weights_reach_the_classifier_of_a_pipeline():
    table, y = make_cohort()
    heavy = np.where(y == 1, 100.0, 1.0)
    plain = make_weighted().fit(table, y).predict_proba(table)[:, 1]
    weighted = make_weighted().fit(table, y, sample_weight=heavy).predict_proba(table)[:, 1]
    assert weighted.mean() > plain.mean() + 0.1


def test_groups_split_and_weights_fit_in_one_cross_validation():
    table, y = make_cohort()
    params = {"groups": GROUPS, "sample_weight": np.ones(32)}
    found = cross_validate(
        make_weighted(),
        table,
        y,
        cv=GroupKFold(2),
        params=params,
        error_score="raise",
        return_indices=True,
    )
    for train, test in zip(*found["indices"].values(), strict=True):
        assert not set(GROUPS[train]) & set(GROUPS[test])
    p = cross_val_predict(
        make_weighted(), table, y, cv=GroupKFold(2), params=params, method="predict_proba"
    )
    assert np.isfinite(p).all()


def test_a_grid_search_splits_by_groups():
    table, y = make_cohort()
    grid = {"logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(make_weighted(), grid, cv=GroupKFold(2), error_score="raise")
    search.fit(table, y, groups=GROUPS, sample_weight=np.ones(32))
    assert set(search.best_params_) == set(grid)


def test_groups_reach_the_step_that_asks_for_them():
    table, y = make_cohort()
    final = GroupsSeen().set_fit_request(groups=True)
    pipeline = make_pipeline(LesionPooling(), final).fit(table, y, groups=GROUPS)
    np.testing.assert_array_equal(pipeline[-1].groups_, GROUPS)


def test_groups_reach_a_feature_set_classifier():
    table, y = make_cohort()
    model = FeatureSetClassifier("HCR", classifier=LogisticRegression(), random_state=0)
    model.set_fit_request(groups=True)
    found = cross_validate(
        model, table, y, cv=GroupKFold(2), params={"groups": GROUPS}, error_score="raise"
    )
    assert len(found["test_score"]) == 2
    # Groups of another length than the rows would be an error, so that they did arrive.
    with pytest.raises(ValueError, match="groups"):
        make_pipeline(model).fit(table, y, groups=GROUPS[:5])


def test_metadata_that_no_step_asks_for_is_an_error():
    table, y = make_cohort()
    pipeline = make_pipeline(LesionPooling(), LogisticRegression())
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        pipeline.fit(table, y, sample_weight=np.ones(32))


def test_only_what_a_method_takes_can_be_requested():
    requests = get_routing_for_object(FeatureSetClassifier())
    assert requests.fit.requests == {"groups": None}
    assert requests.score.requests == {"sample_weight": None}
    assert get_routing_for_object(NonRedundantCVAE()).fit.requests == {}
