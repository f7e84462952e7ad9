"""Batches of lesions and of patients."""

from __future__ import annotations

import numpy as np
from patients_for_tests import make_cohort

from nonredundant.lesions.edges import lesion_edges
from nonredundant.nn.batches import PatientDataset


def test_a_batch_holds_the_lesions_and_edges_of_its_patients():
    table, y = make_cohort([4] * 6)
    edges = lesion_edges(table, "complete", 1, 1.0)
    nodes, clinic = table.hcr.to_numpy(), np.zeros((6, 1))
    dataset = PatientDataset(nodes, clinic, table.sample, edges, np.arange(6), np.arange(6))
    batch = dataset.__getitems__([4, 1])
    assert batch.label.tolist() == [4, 1]
    rows = [*range(16, 20), *range(4, 8)]
    np.testing.assert_array_equal(batch.nodes, nodes[rows])
    assert batch.patient.tolist() == [0] * 4 + [1] * 4
    far = np.linalg.norm(
        table.positions[rows][batch.source] - table.positions[rows][batch.target], axis=1
    )
    np.testing.assert_allclose(batch.distance, far, rtol=1e-6)
