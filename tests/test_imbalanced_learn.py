"""imbalanced-learn's pipelines, samplers and ensembles on lesions, also in a grid search."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import polars
import pytest
from estimators_for_tests import NET, make_cohort
from imblearn.combine import SMOTETomek
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.over_sampling import SMOTE, BorderlineSMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.under_sampling import RandomUnderSampler, TomekLinks
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.patients import LesionPooling

CVAE = NonRedundantCVAE(2, **NET)
SAMPLERS = [
    SMOTE(k_neighbors=2, random_state=0),
    BorderlineSMOTE(k_neighbors=2, random_state=0),
    RandomOverSampler(random_state=0),
    RandomUnderSampler(random_state=0),
    TomekLinks(),
    SMOTETomek(smote=SMOTE(k_neighbors=2, random_state=0), random_state=0),
]


@pytest.fixture(scope="module")
def rare():
    """Patients of whom a quarter is positive."""
    table, y = make_cohort(40)
    rows = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:7]]
    return table[np.sort(rows)], y[np.sort(rows)]


class Counted(LogisticRegression):
    """A classifier that stores the number of rows of each class it was fitted with."""

    def fit(self, X, y):
        """Fit, and count."""
        self.counts_ = np.bincount(y)
        return super().fit(X, y)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: type(s).__name__)
def test_samplers_resample_training_rows_alone(sampler, rare):
    table, y = rare
    steps = make_pipeline(clone(CVAE), LesionPooling(), StandardScaler(), sampler, Counted())
    pipeline = steps.fit(table, y)
    before, after = np.bincount(y), pipeline[-1].counts_
    if not isinstance(sampler, TomekLinks):
        assert after[0] == pytest.approx(after[1], abs=8)
    assert after[0] <= before[0]
    assert pipeline.predict_proba(table).shape == (len(table), 2)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_samplers_take_named_frames(container, rare):
    table, y = rare
    smote = SMOTE(k_neighbors=2, random_state=0)
    features = make_pipeline(clone(CVAE), LesionPooling()).set_output(transform=container)
    frame = features.fit_transform(table, y)
    assert isinstance(frame, {"pandas": pd.DataFrame, "polars": polars.DataFrame}[container])
    expected, _ = smote.fit_resample(
        make_pipeline(clone(CVAE), LesionPooling()).fit_transform(table), y
    )
    found, labels = smote.fit_resample(frame if container == "pandas" else frame.to_numpy(), y)
    np.testing.assert_allclose(np.asarray(found), expected)
    assert np.bincount(labels).tolist() == [20, 20]
    if container == "pandas":
        assert list(found.columns) == features.get_feature_names_out().tolist()


def test_a_grid_search_tunes_network_sampler_and_classifier(rare):
    table, y = rare
    pipeline = Pipeline(
        [
            ("cvae", clone(CVAE)),
            ("pool", LesionPooling()),
            ("scale", StandardScaler()),
            ("sampler", SMOTE(random_state=0)),
            ("clf", LogisticRegression()),
        ]
    )
    grid = {
        "cvae__dlr_size": [1, 2],
        "sampler": [SMOTE(k_neighbors=2, random_state=0), "passthrough"],
        "clf__C": [0.1, 1.0],
    }
    search = GridSearchCV(
        pipeline, grid, cv=StratifiedKFold(2), scoring="balanced_accuracy", error_score="raise"
    ).fit(table, y)
    assert len(search.cv_results_["mean_test_score"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict_proba(table).shape == (len(table), 2)


def test_a_grid_search_with_memory_gives_the_same_scores(rare, tmp_path):
    table, y = rare
    steps = [
        ("cvae", clone(CVAE)),
        ("pool", LesionPooling()),
        ("over", RandomOverSampler(random_state=0)),
    ]
    steps += [("scale", StandardScaler()), ("clf", LogisticRegression())]
    grid = {"clf__C": [0.1, 1.0]}
    scores = [
        GridSearchCV(Pipeline(steps, memory=memory), grid, cv=2, error_score="raise")
        .fit(table, y)
        .cv_results_["mean_test_score"]
        for memory in (None, joblib.Memory(tmp_path, verbose=0))
    ]
    np.testing.assert_array_equal(*scores)


def test_from_images_to_a_balanced_forest():
    cases, y, _ = make_lesions(30, random_state=0)
    y = np.where(np.arange(30) % 4 == 0, 1, 0)
    extractor = RadiomicsExtractor("PET", feature_classes=("shape",), patch_shape=None)
    forest = BalancedRandomForestClassifier(n_estimators=5, random_state=0)
    pipeline = make_pipeline(extractor, LesionPooling("max"), forest)
    p = cross_val_predict(pipeline, cases, y, cv=2, method="predict_proba")
    np.testing.assert_allclose(p.sum(axis=1), 1)
