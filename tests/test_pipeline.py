"""The whole chain as a user builds it, from case tables to predictions."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
import skops.io
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline as SamplingPipeline
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import fetch_sts, make_lesions
from nonredundant.extraction import one_case

CLASSES = ("firstorder", "shape")


@pytest.fixture(scope="module")
def phantoms():
    cases, y, _ = make_lesions(24, random_state=0)
    return cases, np.tile([0, 1], 12) if len(set(y)) < 2 else np.asarray(y)


def make_steps(**extractor):
    settings = {"modality": "PET", "feature_classes": CLASSES, "patch_shape": (8, 8, 8)}
    return [
        ("extract", RadiomicsExtractor(**{**settings, **extractor})),
        ("cvae", NonRedundantCVAE(dlr_size=2, max_epochs=3, random_state=0, device="cpu")),
        ("scale", StandardScaler()),
        ("clf", LogisticRegression()),
    ]


@pytest.fixture(scope="module")
def fitted(phantoms):
    return Pipeline(make_steps()).fit(*phantoms)


def test_grid_search_over_the_whole_fusion_measures_each_case_once(phantoms, tmp_path, monkeypatch):
    calls = []
    measure = one_case.compute_features

    def counted(*args, **kwargs):
        calls.append(1)
        return measure(*args, **kwargs)

    monkeypatch.setattr(one_case, "compute_features", counted)
    grid = {"cvae__dlr_size": [1, 2], "clf__C": [0.1, 1.0]}
    pipeline = Pipeline(make_steps(memory=str(tmp_path)))
    search = GridSearchCV(pipeline, grid, cv=2, scoring="roc_auc", error_score="raise")
    search.fit(*phantoms)
    assert set(search.best_params_) == set(grid)
    assert len(calls) == len(phantoms[0])
    assert search.predict_proba(phantoms[0]).shape == (24, 2)


@pytest.mark.parametrize("how", ["skops", "joblib"])
def test_a_fitted_pipeline_survives_a_file_bit_by_bit(fitted, phantoms, tmp_path, how):
    path = tmp_path / f"pipeline.{how}"
    if how == "skops":
        skops.io.dump(fitted, path)
        untrusted = skops.io.get_untrusted_types(file=path)
        assert all(name.startswith("nonredundant.") for name in untrusted)
        again = skops.io.load(path, trusted=untrusted)
    else:
        joblib.dump(fitted, path)
        again = joblib.load(path)
    cases = phantoms[0]
    np.testing.assert_array_equal(again.predict_proba(cases), fitted.predict_proba(cases))


def test_names_travel_through_the_pipeline(fitted, phantoms):
    names = fitted[:-1].get_feature_names_out()
    assert "original_firstorder_Mean" in names
    assert names[-2:].tolist() == ["dlr00", "dlr01"]
    framed = clone(fitted).set_output(transform="pandas").fit(*phantoms)
    table = framed[:-1].transform(phantoms[0])
    assert table.columns.tolist() == names.tolist()
    assert table.index.tolist() == phantoms[0].index.tolist()


def test_parameters_are_set_to_any_depth(fitted):
    pipeline = clone(fitted).set_params(cvae__dlr_size=5, extract__bin_width=0.5)
    assert pipeline.get_params()["cvae__dlr_size"] == 5
    assert pipeline.named_steps["extract"].bin_width == 0.5


def test_the_diagram_shows_every_step(fitted):
    page = estimator_html_repr(fitted)
    assert all(name in page for name in ("RadiomicsExtractor", "NonRedundantCVAE"))


def test_smote_between_the_latents_and_the_classifier(phantoms):
    cases, y = phantoms
    rows = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:5]]
    steps = make_steps()
    steps.insert(3, ("smote", SMOTE(k_neighbors=2, random_state=0)))
    pipeline = SamplingPipeline(steps).fit(cases.iloc[rows], y[rows])
    assert pipeline.predict_proba(cases).shape == (24, 2)
    assert pipeline.named_steps["smote"].sampling_strategy_ == {1: (y == 0).sum() - 5}


def test_the_hand_crafted_baseline_needs_one_step_less(phantoms):
    steps = [step for step in make_steps(patch_shape=None) if step[0] != "cvae"]
    found = Pipeline(steps).fit(*phantoms)
    assert found.named_steps["scale"].n_features_in_ == 32


@pytest.mark.slow
def test_the_fused_features_of_phantoms_beat_the_hand_crafted_by_far():
    cases, y, _ = make_lesions(900, random_state=7)
    steps = make_steps(patch_shape=(16, 16, 16), feature_classes=None, n_jobs=2)
    steps[1] = ("cvae", NonRedundantCVAE(random_state=0, max_epochs=60))
    fused = Pipeline(steps).fit(cases[:400], y[:400]).predict_proba(cases[400:])[:, 1]
    alone = Pipeline([s for s in steps if s[0] != "cvae"]).fit(cases[:400], y[:400])
    base = roc_auc_score(y[400:], alone.predict_proba(cases[400:])[:, 1])
    assert base < 0.8
    assert roc_auc_score(y[400:], fused) > max(0.85, base + 0.07)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*touch the border of their image")
def test_the_fusion_runs_on_real_tumours(tmp_path):
    sts = fetch_sts()
    y = np.asarray(sts.target)
    steps = make_steps(memory=str(tmp_path), n_jobs=2)
    p = cross_val_predict(Pipeline(steps), sts.data, y, cv=3, method="predict_proba")[:, 1]
    assert 0.6 < roc_auc_score(y, p) < 1
