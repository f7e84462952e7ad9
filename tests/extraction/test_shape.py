"""Area, volume and diameters of a mesh are those of pyradiomics' C function."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from radiomics import cShape
from radiomics.shape import RadiomicsShape

from nonredundant import RadiomicsExtractor
from nonredundant.extraction.shape import mesh_coefficients

SPACING = st.tuples(*[st.floats(0.1, 10)] * 3)


def values(found):
    area, volume, diameters = found
    return [area, volume, *diameters]


@given(arrays(bool, st.tuples(*[st.integers(1, 6)] * 3)).filter(np.any), SPACING)
def test_equal_to_the_c_function(mask, spacing):
    mask, spacing = np.pad(mask, 1), np.array(spacing)
    expected = values(cShape.calculate_coefficients(mask, spacing))
    # Where a mesh has holes, its volume may be 0 but for the rounding of the C function.
    rounding = 1e-12 * np.prod(spacing * mask.shape)
    found = values(mesh_coefficients(mask, spacing))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=rounding)


def test_volume_of_a_mesh_that_is_not_closed_depends_on_the_same_origin():
    """At some ambiguous cubes the triangles leave a hole: the volume depends on the position."""
    mask = np.pad(np.indices((6, 6, 6)).sum(axis=0) % 2 == 0, 1)
    mask &= np.random.default_rng(0).random(mask.shape) < 0.7
    moved = np.pad(mask, [(5, 0), (3, 0), (9, 0)])
    volumes = [mesh_coefficients(one, np.ones(3))[1] for one in (mask, moved)]
    assert volumes[0] != pytest.approx(volumes[1])
    assert volumes[1] == pytest.approx(cShape.calculate_coefficients(moved, np.ones(3))[1])


def test_a_large_lesion_does_not_take_all_pairs():
    """Half a million vertices: all pairs would take a day."""
    side = 300
    mask = np.zeros((side + 2,) * 3, dtype=bool)
    mask[1:-1, 1:-1, 1:-1] = True
    area, volume, diameters = mesh_coefficients(mask, np.ones(3))
    # The mesh lies half a voxel around the centres of the voxels at the border.
    assert area == pytest.approx(6 * side**2, rel=0.01)
    assert volume == pytest.approx(side**3, rel=0.01)
    in_a_plane, in_space = np.hypot(side, side - 1), np.sqrt(side**2 + 2 * (side - 1) ** 2)
    np.testing.assert_allclose(diameters, [in_a_plane] * 3 + [in_space], rtol=1e-12)


@pytest.mark.parametrize("settings", [None, {"setting": {"binWidth": 0.5}}])
def test_it_is_used_by_default_and_with_settings_of_pyradiomics(settings, monkeypatch):
    image = np.random.default_rng(0).normal(size=(8, 8, 8))
    mask = np.zeros(image.shape, dtype=np.uint8)
    mask[2:6, 2:6, 2:6] = 1
    cases = pd.DataFrame({"image": [image], "mask": [mask], "spacing": [(1.0, 1.0, 1.0)]})
    options = {"settings": settings} if settings else {"bin_width": 0.5}
    expected = RadiomicsExtractor(**options, plain_formulas=True).fit_transform(cases).features
    monkeypatch.setattr(RadiomicsShape, "_initSegmentBasedCalculation", None)
    found = RadiomicsExtractor(**options).fit_transform(cases).features
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)
