"""The columns of feature sets and the networks behind them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cohorts_for_tests import CheapNetwork, compare, compare_patients, make_table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, roc_auc_score

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.folds.cohort import Cohort
from nonredundant.folds.feature_sets import parse_feature_set
from nonredundant.folds.fitting import FitOptions
from nonredundant.folds.fold_data import prepare
from nonredundant.folds.fold_model import FoldModel
from nonredundant.folds.outcome import read_outcome
from nonredundant.folds.patient_level import PatientLevel
from nonredundant.folds.splits import Fold
from nonredundant.models.residualiser import Residualiser

FUSED = ["HCR", "HCR+DLR"]


def test_residuals_are_those_of_lesions(patient_cohort):
    table, y, _ = patient_cohort
    found = compare_patients(table, y, feature_sets=["HCR+DLR", "HCR+DLR-residual"])
    source, model = found.networks["DLR", 0, 0], found.networks["DLR-residual", 0, 0]
    held = table.index.isin(found.predictions.query("fold == 0")["sample"])[table.sample]
    d, sample = source.transform(table), table.sample
    # All that is known: the hand-crafted columns and the clinical one.
    known = table.features
    assert "age" in known
    by_hand = Residualiser().fit(known[~held], d[~held], groups=sample[~held])
    both = (one.transform(known, d) for one in (model, by_hand))
    np.testing.assert_allclose(*both, rtol=1e-9)


def test_columns_are_picked_by_the_times_of_training_samples(patient_cohort, times):
    table = patient_cohort[0]
    one = compare_patients(table, times, classifiers="Cox", feature_sets=["H2"])
    held = table.index.get_indexer(one.predictions.query("fold == 0")["sample"])
    other = times.copy()
    other["time"][held] = np.random.default_rng(0).permutation(times["time"][held]) * 100
    two = compare_patients(table, other, classifiers="Cox", feature_sets=["H2"])
    first = [f.models["Clinical+H2", "Cox", 0, 0].named_steps["blocks"].mean_ for f in (one, two)]
    np.testing.assert_array_equal(*first)


class LabelledNetwork(CheapNetwork):
    """Stands in for a network with a label term: it knows the label of what it was trained on."""

    def __init__(
        self, dlr_size=3, *, independence="dcor", output="fused", random_state=None, gamma=1.0
    ):
        super().__init__(
            dlr_size, independence=independence, output=output, random_state=random_state
        )
        self.gamma = gamma

    def fit(self, X, y=None):
        first = X.patches.reshape(len(X.patches), -1)[:, 0]
        self.seen_ = dict(zip(first, np.asarray(y)[X.sample], strict=True))
        return super().fit(X, y)

    def transform(self, X):
        noise = super().transform(X)
        first = X.patches.reshape(len(X.patches), -1)[:, 0]
        other = np.random.default_rng(0).integers(0, 2, len(first))
        label = np.array([self.seen_.get(v, o) for v, o in zip(first, other, strict=True)])
        return np.column_stack([10.0 * label, noise[:, 1:]])


def test_latents_of_a_network_with_labels_are_cross_fitted():
    """Trained on latents that know the training labels, a classifier would trust them alone."""
    table, y = make_table(120, hidden=0.0, visible=3.0)
    found = compare(table, y, cvae=LabelledNetwork(), classifiers="LR", feature_sets=FUSED, cv=5)
    mean = found.summary.set_index("feature_set")["mean"]
    assert mean["HCR"] > 0.8
    assert mean["HCR+DLR"] > mean["HCR"] - 0.03


@pytest.mark.slow
def test_noise_patches_and_a_label_term_cost_little():
    """With latents of the training samples themselves the loss was 0.09."""
    settings = {"max_epochs": 60, "network": {"width": 4}, "device": "cpu", "gamma": 1.0}
    cvae = NonRedundantCVAE(8, **settings)
    gains = []
    for seed in range(3):
        table, y = make_table(120, hidden=0.0, visible=2.0, seed=seed)
        noise = np.random.default_rng(5 + seed).normal(size=table.patches.shape)
        table = table.replace(patches=noise.astype(np.float32))
        found = compare(table, y, cvae=cvae, classifiers="LR", feature_sets=FUSED, cv=3)
        mean = found.summary.set_index("feature_set")["mean"]
        gains.append(mean["HCR+DLR"] - mean["HCR"])
    assert np.mean(gains) > -0.04


def test_columns_that_are_picked_by_the_outcome_are_picked_again_in_each_inner_split():
    """The 8 best of 107 columns of noise seemed to predict: .85 in inner cross-validation."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 107))).add_prefix("original_glcm_F")
    table, y = LesionTable(frame), np.arange(60) % 2
    outcome = read_outcome(y, None, 60, 0)
    fold = Fold(0, 0, np.arange(60), np.arange(0), 0)
    options = FitOptions({"roc_auc": get_scorer("roc_auc")})
    model = FoldModel(prepare(Cohort(table, outcome, []), fold), PatientLevel(), options)
    one = parse_feature_set("H8")
    nested = model.nested(model.represent(one, graph=False))
    held = [
        LogisticRegression().fit(x.matrix[a], y[a]).decision_function(x.matrix[b])
        for x, (a, b) in zip(nested, model.data.splits, strict=True)
    ]
    scores = [roc_auc_score(y[b], r) for r, (_, b) in zip(held, model.data.splits, strict=True)]
    assert abs(np.mean(scores) - 0.5) < 0.15
    threshold = model.fit(one, "LR", None)[1].threshold
    assert np.isfinite(threshold)


@pytest.mark.parametrize("independence", ["dcor", "density-ratio"])
def test_the_network_without_the_term_has_the_gates_of_the_one_with_it(cohort, independence):
    table, y = cohort
    cvae = NonRedundantCVAE(2, independence=independence, max_epochs=1, network={"width": 4})
    found = compare(table, y, cvae=cvae, feature_sets=["HCR", "DLR", "DLR-MI"])
    plain, term = (found.networks[name, 0, 0] for name in ("DLR", "DLR-MI"))
    assert plain.independence is None
    assert not plain.residualise
    assert term.residualise
    assert plain.net_.module_.conditioning == term.net_.module_.conditioning


def test_networks_with_a_label_term_are_refused_for_times(patient_cohort, times):

    with pytest.raises(ValueError, match="gamma=1.0, a label term of classes"):
        compare_patients(
            patient_cohort[0], times, cvae=NonRedundantCVAE(gamma=1.0), feature_sets=["HCR+DLR-MI"]
        )
