"""Lesions of a patient on the projection of the image."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant import displays


def test_lesions_of_a_graph_lie_on_their_voxels(data):
    for projection in ("coronal", "sagittal", "axial"):
        display = displays.PatientGraphDisplay.from_estimator(
            data.graph, data.patients, image=data.uptake, projection=projection
        )
        left, right, bottom, top = display.extent
        height, width = display.image.shape
        columns = (display.places[:, 0] - left) / (right - left) * width
        rows = (display.places[:, 1] - bottom) / (top - bottom) * height
        seen = display.image[rows.astype(int), columns.astype(int)]
        # Lesions may hide each other; a lesion is never where nothing is.
        assert (seen >= 10.0 + np.arange(5)).all(), projection
        axes = {"coronal": [2, 0], "sagittal": [1, 0], "axial": [2, 1]}[projection]
        bare = displays.PatientGraphDisplay.from_estimator(
            data.graph, data.patients, projection=projection
        )
        np.testing.assert_allclose(bare.places, data.patients[[0]].positions[:, axes])


def test_sizes_and_widths_of_a_graph_are_its_attention(data):
    display = displays.PatientGraphDisplay.from_estimator(data.graph, data.patients)
    found = data.graph.explain(data.patients[[0]])
    lines, dots = display.ax_.collections
    weights = found.loc[found["kind"] == "lesion", "weight"].to_numpy()
    np.testing.assert_allclose(dots.get_sizes() / dots.get_sizes().max(), weights / weights.max())
    edges = found[found["kind"] == "edge"]
    both = {frozenset(pair): 0.0 for pair in display.pairs.tolist()}
    for a, b, weight in edges[["lesion", "other", "weight"]].itertuples(index=False):
        both[frozenset((a, b))] += weight
    drawn = lines.get_linewidths() / np.max(lines.get_linewidths())
    np.testing.assert_allclose(drawn, np.array([*both.values()]) / max(both.values()), rtol=1e-6)
    assert sum(both.values()) == pytest.approx(1, abs=1e-5)


def test_a_graph_of_one_lesion_has_no_pairs(data):
    display = displays.PatientGraphDisplay.from_estimator(data.graph, data.patients, row=1)
    assert len(display.ax_.collections) == 1
    assert display.weights.tolist() == pytest.approx([1.0])
    assert display.title.startswith("patient01: ")


def test_a_flat_image_is_drawn_as_it_is():
    display = displays.PatientGraphDisplay(
        places=[[1, 2]], weights=[1], pairs=[], pair_weights=[], axes_names=("x", "y")
    ).plot()
    bottom, top = display.ax_.get_ylim()
    assert bottom > top


def test_a_graph_cannot_be_drawn_nowhere(data):
    with pytest.raises(ValueError, match="the table has no positions"):
        displays.PatientGraphDisplay.from_estimator(
            data.graph, data.patients.replace(positions=None)
        )
    with pytest.raises(ValueError, match="projection must be one of"):
        displays.PatientGraphDisplay.from_estimator(data.graph, data.patients, projection="top")
