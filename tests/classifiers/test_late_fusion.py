"""Late fusion, and the mean of several classifiers."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io
from cohorts_for_tests import compare, compare_patients, make_table
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from nonredundant.classifiers.calibrated_margin import LEAST_RISE
from nonredundant.classifiers.late_fusion import LateFusion, LateFusionOfTimes, fuse, scores_of
from nonredundant.classifiers.soft_vote import soft_vote
from nonredundant.classifiers.tuning import Tuned
from nonredundant.cli.model_files import load_model
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.folds.feature_sets import choose_feature_sets, name_clinical, parse_feature_set
from nonredundant.folds.references import choose_primary, references

BLOCKS = [LogisticRegression(), LogisticRegression()]


def two_blocks(n=200, second=0.0):
    """Return two columns, the first of which predicts, and the second by so much."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2))
    return X, (X @ [1.0, second] + 0.5 * rng.normal(size=n) > 0).astype(int)


def test_a_block_that_ranks_against_the_labels_gets_no_weight():
    X, y = two_blocks()
    held = np.stack([X[:, :1], -X[:, :1] + X[:, 1:]], axis=1)
    model = LateFusion(BLOCKS, [0, 1], held, y).fit(X, y)
    assert model.weights_[0] > 1
    assert model.weights_[1] == 0
    against = LateFusion(BLOCKS, [0, 1], -np.abs(held) * (2 * y - 1)[:, None, None], y).fit(X, y)
    assert (against.weights_ == LEAST_RISE).all()


def test_the_fused_log_odds_are_the_weighed_ones_of_the_blocks():
    X, y = two_blocks(second=0.5)
    held = X[:, :, None]
    model = LateFusion(BLOCKS, [0, 1], held, y).fit(X, y)
    final = LogisticRegression().fit((X - X.mean(axis=0)) / X.std(axis=0), y)
    np.testing.assert_allclose(model.weights_, final.coef_[0])
    own = [m.predict_proba(X[:, [i]])[:, 1] for i, m in enumerate(model.models_)]
    z = (np.log([p / (1 - p) for p in own]).T.clip(-6.9, 6.9) - model.center_) / model.scale_
    expected = expit(z @ model.weights_ + model.intercept_)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expected, atol=2e-3)
    mean = LateFusion(BLOCKS, [0, 1]).fit(X, y)
    assert mean.weights_.tolist() == [0.5, 0.5]


def test_held_out_scores_are_averaged_over_the_splits_that_left_a_row_out():
    X, y = two_blocks(6)
    y[:2] = 0, 1
    rows = np.array([0, 1, 2, 0, 1, 2])
    p = np.array([0.2, 0.6, 0.5, 0.8, 0.6, 0.5])
    tuned = [
        Tuned(m.fit(X[:, [i]], y), {"C": 1.0}, rows, np.column_stack([1 - p, p]))
        for i, m in enumerate(BLOCKS)
    ]
    columns = [np.array([0]), np.array([1])]
    found = fuse(dict(zip("ab", tuned, strict=True)), columns, X, y)
    assert found.rows.tolist() == [0, 1, 2]
    assert found.model.scores[:, 0, 0] == pytest.approx([0, np.log(1.5), 0])
    assert found.chosen == {"a: C": 1.0, "b: C": 1.0}
    vote = soft_vote(dict(zip("ab", tuned, strict=True)), X[:, :1], y)
    assert vote.rows.tolist() == [0, 1, 2]
    np.testing.assert_allclose(vote.responses[:, 1], [0.5, 0.6, 0.5])


def test_scores_are_log_odds_of_probabilities_and_margins_as_they_are():
    assert scores_of(np.array([[0.25, 0.75]])) == pytest.approx(np.log(3))
    assert scores_of(np.array([[-2.0]])).tolist() == [[-2.0]]
    assert np.isfinite(scores_of(np.array([[0.0, 0.0, 1.0]]))).all()


# Names -------------------------------------------------------------------------------------


def test_names_of_late_fusions():
    one = parse_feature_set("DLR-MI&HCR")
    assert (one.name, one.parts) == ("HCR & DLR-MI", (("hcr", "clinical"), ("learned",)))
    assert parse_feature_set("HCR & Clinical & D4").parts == (("clinical",), ("hcr",), ("learned",))
    assert parse_feature_set("H8 & FMCIB", ["FMCIB"]).selection.k == 8
    for clinical, name in ((True, "Clinical+HCR & DLR"), (False, "HCR & DLR")):
        (named,) = name_clinical([parse_feature_set("HCR & DLR")], [], clinical=clinical)
        assert (named.name, named.clinical) == (name, clinical)


@pytest.mark.parametrize("name", ["HCR & HCR", "HCR &", "HCR & HCR+DLR", "volume & HCR", "D2 & D4"])
def test_blocks_that_cannot_be_fused_late_are_refused(name):
    with pytest.raises(ValueError, match="unknown feature set"):
        parse_feature_set(name)


def test_late_fusion_is_tested_against_the_known_columns_and_early_fusion():
    table = make_table(20)[0]
    sets, _ = choose_feature_sets(["HCR & DLR-MI", "HCR & DLR"], table, baselines=True)
    by_name = {one.name: references(sets, one) for one in sets}
    assert by_name["HCR & DLR-MI"] == ["HCR", "HCR & DLR", "HCR+DLR-MI"]
    assert by_name["HCR & DLR"] == ["HCR", "HCR+DLR"]
    assert by_name["HCR+DLR-MI"] == ["HCR", "HCR+DLR"]
    assert choose_primary(sets) == ("HCR & DLR-MI", "HCR")


# In a comparison ---------------------------------------------------------------------------


def test_held_out_rows_change_nothing_that_is_fused():
    table, y = make_table(60)
    found = compare(table, y, feature_sets=["HCR & PCA"], classifiers="SVM", cv=2)
    held = found.predictions.query("fold == 0")["sample"]
    rows = np.flatnonzero(table.index.isin(held))
    patches = np.array(table.patches)
    patches[rows] = patches[rows][::-1]
    features = table.features.copy()
    features.iloc[rows] *= 3
    changed = table.replace(patches=patches, features=features)
    labels = y.copy()
    labels[rows] = y[rows][np.random.default_rng(0).permutation(len(rows))]
    splits = [(np.setdiff1d(np.arange(60), rows), rows)]
    one, other = (
        compare(*data, feature_sets=["HCR & PCA"], classifiers="SVM", cv=splits).models[
            "HCR & PCA", "SVM", 0, 0
        ]
        for data in ((table, y), (changed, labels))
    )
    np.testing.assert_array_equal(one.weights_, other.weights_)
    X = np.random.default_rng(0).normal(size=(20, one.n_features_in_))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_blocks_with_clinical_columns_and_weights_of_all_columns(patient_cohort):
    table, y, _ = patient_cohort
    found = compare_patients(
        table, y, feature_sets=["Clinical & HCR & PCA2"], classifiers="LR", cv=2, baselines=True
    )
    tests = found.tests.query("feature_set == 'Clinical & HCR & PCA2'")
    assert tests["reference"].tolist() == ["Clinical+HCR", "Clinical+HCR+PCA2"]
    assert tests["p_value"].notna().all()
    own = found.weights.query("feature_set == 'Clinical & HCR & PCA2' and fold == 0")
    assert own["feature"].tolist() == [*table.hcr, "age", "pca00", "pca01"]
    model = found.models["Clinical & HCR & PCA2", "LR", 0, 0]
    assert np.asarray(model.part).tolist() == [1, 1, 1, 0, 2, 2]


def test_times_are_fused_late(patient_cohort, times):
    table = patient_cohort[0]
    found = compare_patients(table, times, feature_sets=["HCR & PCA2"], classifiers="Cox", cv=2)
    model = found.models["Clinical+HCR & PCA2", "Cox", 0, 0]
    assert isinstance(model, LateFusionOfTimes)
    assert (model.weights_ >= 0).all()
    assert found.summary["mean"].iloc[0] > 0.55


@pytest.mark.parametrize(
    ("feature_set", "classifier", "n_classes"),
    [("HCR & PCA2", "ensemble", 2), ("HCR & PCA2", "LR", 3), ("HCR", "GB", 2), ("HCR", "KNN", 3)],
)
def test_models_are_saved_and_loaded(tmp_path, feature_set, classifier, n_classes):
    table, y = make_table(40, n_classes=n_classes)
    model = FeatureSetClassifier(
        feature_set, classifier=classifier, sampler="over", random_state=0
    ).fit(table, y)
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    assert b"RandomOverSampler" not in skops.io.dumps(model.model_)
    p = load_model(path).predict_proba(table)
    np.testing.assert_array_equal(p, model.predict_proba(table))
    np.testing.assert_allclose(p.sum(axis=1), 1)
