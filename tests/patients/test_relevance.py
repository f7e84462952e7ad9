"""The initial attention of a graph, and residuals of the clinical variables."""

from __future__ import annotations

import numpy as np
from patients_for_tests import make_cohort
from sklearn.preprocessing import StandardScaler

from nonredundant.lesions.edges import lesion_edges
from nonredundant.patients.relevance import starting_relevance, unexplained


def test_attention_starts_at_the_feature_associated_with_the_training_labels():
    rng = np.random.default_rng(0)
    table, y = make_cohort(rng.integers(2, 7, size=150), effect="worst")
    nodes = StandardScaler().fit_transform(table.hcr)
    edges = lesion_edges(table, "complete", 1, 1.0)
    targets = (y == "relapse")[:, None].astype(float)
    rows = np.arange(100)
    start = starting_relevance(nodes, table.sample, edges, targets, rows, 3.0)
    assert start.tolist() == [1.0, 0.0, 0.0]
    flipped = starting_relevance(-nodes, table.sample, edges, targets, rows, 3.0)
    assert flipped.tolist() == [-1.0, 0.0, 0.0]
    # Held-out patients do not change the start.
    nodes[table.sample >= 100, 1] = targets[table.sample[table.sample >= 100], 0] * 9
    targets[100:] = 1 - targets[100:]
    again = starting_relevance(nodes, table.sample, edges, targets, rows, 3.0)
    assert again.tolist() == start.tolist()
    targets[:100] = rng.permutation(targets[:100])
    assert not starting_relevance(nodes, table.sample, edges, targets, rows, 3.0).any()


def test_residuals_of_the_regression_on_clinical_variables():
    clinic = np.array([[0.0], [1.0], [2.0], [3.0], [9.0]])
    straight = 2 - 3 * clinic
    rows = np.arange(4)
    np.testing.assert_allclose(unexplained(straight, clinic, rows), 0, atol=1e-12)
    # The fifth patient does not enter the regression, but gets a residual.
    bent = straight + np.array([[1.0], [-1], [-1], [1], [5]])
    np.testing.assert_allclose(unexplained(bent, clinic, rows), bent - straight, atol=1e-12)
