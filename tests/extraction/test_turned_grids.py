"""Interpolation on turned grids: SimpleITK's values, borders, and masks."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nonredundant.extraction.turned_grids import TurnedGrid, cubic, linear, nearest, share

SHAPE, ANGLE, STEP = (9, 14, 17), 0.3, 0.83
SIZE = (12, 20, 22)


def turned():
    """Return a grid about the centre of an array, and the same as arguments of SimpleITK."""
    centre = (np.array(SHAPE) - 1) / 2
    z, y, x = ((np.arange(n) - (n - 1) / 2) * STEP for n in SIZE)
    cosine, sine = np.cos(ANGLE), np.sin(ANGLE)
    rows = centre[1] + sine * x + cosine * y[:, None]
    columns = centre[2] + cosine * x - sine * y[:, None]
    first = [columns[0, 0], rows[0, 0], centre[0] + z[0]]
    direction = [cosine, -sine, 0, sine, cosine, 0, 0, 0, 1]
    where = {
        "size": SIZE[::-1],
        "outputOrigin": first,
        "outputSpacing": [STEP] * 3,
        "outputDirection": direction,
    }
    return TurnedGrid(centre[0] + z, rows, columns), where


@pytest.mark.parametrize("deviations", [(0.0, 0.0, 0.0), (1.3, 0.0, 0.8), (0.6, 2.1, 2.1)])
@pytest.mark.parametrize(("kind", "rtol"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_linear_values_are_those_of_simpleitk(deviations, kind, rtol):
    values = np.random.default_rng(0).gamma(3, 1, SHAPE).astype(kind)
    grid, where = turned()
    image = sitk.GetImageFromArray(values.astype(np.float64))
    if any(deviations):
        image = sitk.DiscreteGaussian(image, [one**2 for one in deviations[::-1]], 64)
    wanted = sitk.Resample(image, useNearestNeighborExtrapolator=True, **where)
    found = linear(values, grid, np.array(deviations))
    np.testing.assert_allclose(found, sitk.GetArrayFromImage(wanted), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("shape", [SHAPE, (1, 14, 17)])
def test_splines_are_those_of_simpleitk(shape):
    values = np.random.default_rng(0).gamma(3, 1, shape)
    grid, where = turned()
    if shape[0] == 1:
        grid = TurnedGrid(np.zeros(1), grid.rows, grid.columns)
        where = {name: one[:2] for name, one in where.items() if name != "outputDirection"}
        where["outputDirection"] = np.array(turned()[1]["outputDirection"]).reshape(3, 3)[:2, :2]
        where["outputDirection"] = where["outputDirection"].ravel().tolist()
    wanted = sitk.Resample(
        sitk.GetImageFromArray(values if shape[0] > 1 else values[0]),
        interpolator=sitk.sitkBSpline,
        useNearestNeighborExtrapolator=True,
        **where,
    )
    found = cubic(values, grid)
    np.testing.assert_allclose(
        found.reshape(wanted.GetSize()[::-1]), sitk.GetArrayFromImage(wanted)
    )


def test_a_mask_ends_where_its_array_does():
    grid, _ = turned()
    inside = np.ones(SHAPE, dtype=bool)
    padded = np.pad(inside, 8)
    there = grid.seen_from(np.full(3, -8))
    for deviations in (np.zeros(3), np.array([0.5, 1.2, 1.2])):
        found = share(inside, grid, deviations)
        np.testing.assert_allclose(found, linear(padded, there, deviations), atol=1e-6)
        assert found.min() < 0.01
        assert found.max() == pytest.approx(1)
    near = nearest(inside, grid)
    outside = [(axis < -0.5) | (axis >= n - 0.5) for axis, n in zip(grid, SHAPE, strict=True)]
    np.testing.assert_array_equal(near, ~(outside[0][:, None, None] | outside[1] | outside[2]))
