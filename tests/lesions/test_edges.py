"""Edges between the lesions of a patient, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from patients_for_tests import mixed

from nonredundant import LesionTable
from nonredundant.lesions import edges as lesion_edges_module
from nonredundant.lesions.edges import lesion_edges


def links(table, *arguments):
    """Return the edges between different lesions with their lengths in mm."""
    edges = lesion_edges(table, *arguments)
    found = zip(edges.source.tolist(), edges.target.tolist(), edges.distance, strict=True)
    return {(a, b): float(length) for a, b, length in found if a != b}


def test_edges_by_hand():
    # Four lesions on a line, then a patient with one, then one with two.
    along = np.array([0.0, 1.0, 3.0, 10.0, 4.0, 7.0, 9.0])
    table = LesionTable(
        pd.DataFrame({"uptake": along}),
        sample=[0, 0, 0, 0, 1, 2, 2],
        positions=np.column_stack([along, along * 0, along * 0]),
    )
    assert links(table, "knn", 1, 1.0) == {
        (1, 0): 1, (0, 1): 1, (1, 2): 2, (2, 3): 7, (6, 5): 2, (5, 6): 2
    }  # fmt: skip
    assert links(table, "radius", 1, 2.0) == {
        (1, 0): 1, (0, 1): 1, (1, 2): 2, (2, 1): 2, (6, 5): 2, (5, 6): 2
    }  # fmt: skip
    assert len(links(table, "complete", 1, 1.0)) == 4 * 3 + 2
    edges = lesion_edges(table, "complete", 1, 1.0)
    assert (edges.source == edges.target).sum() == 7
    assert edges.start.tolist() == [0, 16, 17, 21]


def test_neighbours_that_tie_are_all_kept():
    positions = np.array([[0.0, 0, 0], [5, 0, 0], [-5, 0, 0], [0, 9, 0]])
    table = LesionTable(pd.DataFrame({"uptake": range(4)}), sample=[0] * 4, positions=positions)
    assert {source for source, target in links(table, "knn", 1, 1.0) if target == 0} == {1, 2}


@pytest.mark.parametrize("kind", ["complete", "knn", "radius"])
def test_edges_are_the_same_in_small_portions(kind, monkeypatch):
    table, _ = mixed()
    whole = lesion_edges(table, kind, 2, 80.0)
    monkeypatch.setattr(lesion_edges_module, "MOST_PAIRS", 20)
    parts = lesion_edges(table, kind, 2, 80.0)
    for name in ("source", "target", "distance", "start"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
