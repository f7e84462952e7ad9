"""scikit-learn's tools on lesions: everything that indexes, resamples, searches or combines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimators_for_tests import NET, make_cohort
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    permutation_test_score,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import _safe_indexing, gen_batches, resample, shuffle

from nonredundant import LesionTable, NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.patients import LesionGraphClassifier, LesionPooling

C = "logisticregression__C"
GRAPH = LesionGraphClassifier(4, heads=2, **NET)


def make_steps():
    return make_pipeline(
        NonRedundantCVAE(2, **NET), LesionPooling(), StandardScaler(), LogisticRegression()
    )


@pytest.fixture(scope="module")
def cohort():
    return make_cohort()


@pytest.fixture(scope="module")
def extracted():
    """Real output: phantoms measured by the extractor, several lesions per patient."""
    cases, y, _ = make_lesions(24, random_state=0)
    extractor = RadiomicsExtractor(
        "PET", feature_classes=("firstorder", "shape"), patch_shape=(8, 8, 8)
    )
    return extractor.fit_transform(cases), np.asarray(y)


def check_probabilities(p, n):
    assert p.shape == (n, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1)


# Indexing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        [0, 2],
        np.array([2, 0, 0]),
        np.arange(32) % 3 == 0,
        [True, False] * 16,
        slice(2, 9, 3),
        pd.Series([4, 1]),
        (3, 5),
    ],
    ids=str,
)
def test_safe_indexing_selects_the_patients(cohort, key):
    table, y = cohort
    part = _safe_indexing(table, key)
    labels = _safe_indexing(table.index.to_numpy(), key)
    assert isinstance(part, LesionTable)
    assert part.index.tolist() == labels.tolist()
    for i, label in enumerate(labels):
        whole = table.features.loc[[label]].to_numpy()
        np.testing.assert_array_equal(part[[i]].features.to_numpy(), whole)


def test_splits_and_resamples_keep_patients_whole(cohort):
    table, y = cohort
    parts = [
        train_test_split(table, y, stratify=y, random_state=0)[0],
        resample(table, y, random_state=0)[0],
        resample(table, y, stratify=y, replace=False, n_samples=10, random_state=0)[0],
        shuffle(table, y, random_state=0)[0],
        *[_safe_indexing(table, batch) for batch in gen_batches(len(table), 20)],
    ]
    counts = pd.Series(table.features.index).value_counts()
    for part in parts:
        assert isinstance(part, LesionTable)
        assert part.n_lesions == sum(counts[label] for label in part.index)


def test_predictions_and_curves_of_cross_validation(cohort):
    table, y = cohort
    steps = make_steps()
    check_probabilities(cross_val_predict(steps, table, y, cv=2, method="predict_proba"), 32)
    sizes, _, scores = learning_curve(steps, table, y, cv=2, train_sizes=[0.5, 1.0])
    assert sizes.tolist() == [8, 16]
    # With all rows, and with the default C = 1, a curve has the scores of cross-validation.
    expected = cross_val_score(steps, table, y, cv=2)
    np.testing.assert_allclose(scores[-1], expected)
    _, scores = validation_curve(steps, table, y, param_name=C, param_range=[0.1, 1.0], cv=2)
    np.testing.assert_allclose(scores[-1], expected)
    score, null, p = permutation_test_score(steps, table, y, cv=2, n_permutations=3)
    assert score == pytest.approx(expected.mean())
    assert p == pytest.approx((1 + (null >= score).sum()) / 4)


# Composition ---------------------------------------------------------------------------------


def test_a_feature_union_of_lesion_steps(extracted):
    table, y = extracted
    union = FeatureUnion(
        [
            ("hcr", make_pipeline(LesionPooling("max"), SelectKBest(k=3))),
            ("dlr", make_pipeline(NonRedundantCVAE(2, output="dlr", **NET), LesionPooling("mean"))),
        ]
    )
    model = make_pipeline(union, StandardScaler(), LogisticRegression()).fit(table, y)
    names = model[:1].get_feature_names_out()
    assert len(names) == 5
    assert names[-2:].tolist() == ["dlr__mean__dlr00", "dlr__mean__dlr01"]
    check_probabilities(model.predict_proba(table), 24)


def test_a_column_transformer_takes_columns_of_a_table_by_position():
    table, y = make_cohort(several=False)
    columns = make_column_transformer((StandardScaler(), [0, 1]), (MinMaxScaler(), [2]))
    found = columns.fit_transform(table)
    features = table.features
    np.testing.assert_allclose(found[:, :2], StandardScaler().fit_transform(features.iloc[:, :2]))
    np.testing.assert_allclose(found[:, 2:], MinMaxScaler().fit_transform(features[["age"]]))
    pipeline = make_pipeline(clone(columns), LogisticRegression()).fit(table, y)
    check_probabilities(pipeline.predict_proba(table), 32)


def test_a_pipeline_with_memory_fits_each_step_once(cohort, tmp_path, monkeypatch):
    table, y = cohort
    calls = []
    train = NonRedundantCVAE._train

    def counted(self, *args):
        calls.append(1)
        return train(self, *args)

    monkeypatch.setattr(NonRedundantCVAE, "_train", counted)
    expected = make_steps().fit(table, y).predict_proba(table)
    calls.clear()
    pipeline = Pipeline(make_steps().steps, memory=str(tmp_path))
    for c in (0.1, 1.0):
        pipeline.set_params(**{C: c}).fit(table, y)
    assert len(calls) == 1
    np.testing.assert_array_equal(pipeline.predict_proba(table), expected)
    pipeline.set_params(nonredundantcvae__dlr_size=3).fit(table[:20], y[:20])
    assert len(calls) == 2


# Searches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "search",
    [
        HalvingGridSearchCV(make_steps(), {C: [0.1, 1.0]}, cv=2, min_resources=16, random_state=0),
        RandomizedSearchCV(make_steps(), {C: [0.1, 1.0, 3.0]}, n_iter=2, cv=2, random_state=0),
    ],
    ids=lambda s: type(s).__name__,
)
def test_searches_choose_a_candidate(search, cohort):
    table, y = cohort
    search.set_params(error_score="raise").fit(table, y)
    assert set(search.best_params_) == {C}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    check_probabilities(search.predict_proba(table), 32)


# Meta-estimators -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        CalibratedClassifierCV(make_steps(), cv=2),
        CalibratedClassifierCV(GRAPH, cv=2, method="isotonic"),
        StackingClassifier([("fused", make_steps()), ("graph", GRAPH)], cv=2),
        VotingClassifier([("fused", make_steps()), ("graph", GRAPH)], voting="soft"),
        OneVsRestClassifier(make_steps()),
        FixedThresholdClassifier(make_steps(), threshold=0.4),
        TunedThresholdClassifierCV(make_steps(), cv=2),
    ],
    ids=lambda m: f"{type(m).__name__}",
)
def test_meta_estimators_take_lesions(model, cohort):
    table, y = cohort
    fitted = clone(model).fit(table, y)
    check_probabilities(fitted.predict_proba(table), 32)
    assert set(fitted.predict(table)) <= {0, 1}
    # A patient's prediction does not depend on who else is predicted.
    np.testing.assert_allclose(
        fitted.predict_proba(table[5:9]), fitted.predict_proba(table)[5:9], rtol=1e-4, atol=1e-5
    )


def test_a_tuned_threshold_is_the_best_of_held_out_predictions(cohort):
    table, y = cohort
    y = np.where(np.arange(32) % 8 == 2, 1, 0)
    model = TunedThresholdClassifierCV(make_steps(), cv=2, scoring="balanced_accuracy")
    assert 0 < model.fit(table, y).best_threshold_ < 0.5


def test_a_prefit_pipeline_is_calibrated(extracted):
    table, y = extracted
    fitted = make_steps().fit(table, y)
    model = CalibratedClassifierCV(FrozenEstimator(fitted), cv=2).fit(table, y)
    check_probabilities(model.predict_proba(table), 24)


def test_permutation_importance_of_the_features_that_a_network_returns():
    table, y = make_cohort(96, several=False)
    pipeline = make_pipeline(
        NonRedundantCVAE(2, **NET).set_output(transform="pandas"),
        StandardScaler(),
        LogisticRegression(),
    ).fit(table, y)
    fused = pipeline[:1].transform(table)
    found = permutation_importance(pipeline[1:], fused, y, n_repeats=5, random_state=0)
    importance = pd.Series(found.importances_mean, index=fused.columns)
    assert importance["original_a"] > 0.1 > importance["original_b"]
    # On the table itself scikit-learn would permute a matrix that has no images.
    with pytest.raises(ValueError, match="permutation_importance.pipeline.1:., pipeline.:1."):
        permutation_importance(pipeline, table, y, n_repeats=1)
    plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, y)
    found = permutation_importance(plain, table, y, n_repeats=5, random_state=0)
    assert found.importances_mean.argmax() == 0


def test_tools_that_make_a_matrix_say_what_to_give_them():
    table, y = make_cohort(24)
    tail = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.raises(ValueError, match="BaggingClassifier, takes the steps after LesionPooling"):
        BaggingClassifier(make_pipeline(LesionPooling(), tail)).fit(table, y)
    pooled = LesionPooling().fit_transform(table)
    assert BaggingClassifier(tail, n_estimators=2).fit(pooled, y).predict(pooled).shape == (24,)
    single, y = make_cohort(24, several=False)
    with pytest.raises(IndexError, match="partial_dependence, .* steps after LesionPooling"):
        partial_dependence(tail.fit(single, y), single, [0])
    pooled = LesionPooling().fit_transform(single)
    assert partial_dependence(tail.fit(pooled, y), pooled, [0])["average"].shape[0] == 1
