"""The regression of a graph, and when its branches are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from patients_for_tests import make_cohort, make_graph, mixed
from sklearn.metrics import roc_auc_score

from nonredundant.nn.graph_regression import clearly_better


def test_uninformative_features_hardly_enter_the_relevance():
    table, y = mixed(200, n_noise=12)
    graph = make_graph(max_epochs=1).fit(table, y)
    weights = graph.net_.module_.readout.own.weight[0].numpy()
    assert graph.lesion_scaler_.columns_[0] == "uptake"
    assert np.abs(weights[1:]).max() < 0.05 * weights[0]


def test_branches_that_find_nothing_add_nothing():
    table, y = mixed(60)
    y = np.random.default_rng(0).permutation(y)
    whole = make_graph(max_epochs=5).fit(table, y)
    bare = make_graph(max_epochs=5, n_layers=0, clinical="concat").fit(table, y)
    np.testing.assert_allclose(whole.predict_proba(table), bare.predict_proba(table), atol=1e-6)


def test_graph_attention_adds_what_no_regression_can_fit():
    rng = np.random.default_rng(0)
    table, _ = make_cohort(rng.integers(3, 9, size=300), n_noise=0)
    # The label: are there lesions within 90 mm of the hottest?
    crowd = []
    for i in range(300):
        places = table.positions[table.sample == i]
        uptake = table.features["uptake"].to_numpy()[table.sample == i]
        far = np.linalg.norm(places - places[uptake.argmax()], axis=1)
        crowd.append((far < 90).sum() - 1)
    y = np.asarray(crowd) >= np.median(crowd)
    auc = {}
    for n_layers in (0, 1):
        graph = make_graph(n_layers=n_layers, clinical="none", max_epochs=40, lr=1e-2, patience=10)
        graph.fit(table[:200], y[:200])
        auc[n_layers] = roc_auc_score(y[200:], graph.decision_function(table[200:]))
    assert auc[1] > auc[0] + 0.05


@pytest.mark.parametrize(("ratio", "expected"), [(1.9, False), (2.1, True), (-2.1, False)])
def test_branches_must_gain_two_standard_errors(ratio, expected):
    # For a mean of losses the jackknife's error is the standard error of the mean.
    gains = np.random.default_rng(0).normal(size=30)
    gains += ratio * gains.std(ddof=1) / np.sqrt(30) - gains.mean()
    losses = torch.as_tensor(gains)
    assert clearly_better(-losses, 0 * losses, losses, lambda out, _: out.mean()) is expected
