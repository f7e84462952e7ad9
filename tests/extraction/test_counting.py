"""The texture matrices have the counts of pyradiomics' C functions."""

from __future__ import annotations

import numpy as np
import pytest
from radiomics import cMatrices

from nonredundant.extraction import counting
from nonredundant.extraction.counting import Grid, TextureCounts
from nonredundant.extraction.levels import discretise


def lesion(shape, n_levels, seed=0, share=0.7):
    """Draw a rough lesion that fills its box, with levels that form zones."""
    rng = np.random.default_rng(seed)
    inside = rng.uniform(size=shape) < share
    inside[(0,) * len(shape)] = inside[(-1,) * len(shape)] = True
    coarse = rng.integers(0, n_levels, [-(-n // 2) for n in shape])
    for axis in range(len(shape)):
        coarse = coarse.repeat(2, axis=axis)
    noise = rng.integers(0, n_levels, shape)
    values = np.where(rng.uniform(size=shape) < 0.6, coarse[tuple(map(slice, shape))], noise)
    return inside, values * 3.0 + 1


CASES = {
    "volume": (lesion((7, 8, 9), 5), {}),
    "many levels": (lesion((9, 8, 7), 90), {}),
    "one level": (lesion((4, 5, 6), 1), {}),
    "plane": (lesion((12, 13), 4), {}),
    "one slice": (lesion((1, 9, 11), 4), {}),
    "sparse": (lesion((6, 6, 6), 2, share=0.05), {}),
    "two distances": (lesion((7, 8, 9), 4), {"distances": [1, 2]}),
    "far": (lesion((7, 8, 9), 4), {"distances": [3]}),
    "similar levels": (lesion((7, 8, 9), 9), {"gldm_a": 2}),
    "across z": (lesion((7, 8, 9), 4), {"force2D": True, "force2Ddimension": 0}),
    "across x": (lesion((7, 8, 9), 4), {"force2D": True, "force2Ddimension": 2}),
}


@pytest.mark.parametrize("name", CASES)
def test_counts_are_those_of_pyradiomics(name):
    (inside, values), given = CASES[name]
    setting = {"binWidth": 1.0, **given}
    found = discretise(values[inside], setting)
    counts = TextureCounts(Grid(inside, setting), found, setting)
    levels = np.zeros(inside.shape, dtype=int)
    levels[inside] = found.levels
    rows, n = found.present - 1, int(found.present[-1])
    distances = np.array(setting.get("distances", [1]))
    plane = bool(setting.get("force2D")), setting.get("force2Ddimension", 0)
    pairs, _ = cMatrices.calculate_glcm(levels, inside, distances, n, *plane)
    np.testing.assert_array_equal(counts.pairs(), pairs[0][rows][:, rows].transpose(2, 0, 1))
    alpha = setting.get("gldm_a", 0)
    similar = cMatrices.calculate_gldm(levels, inside, distances, n, alpha, *plane)[0][rows]
    ours = counts.dependent()
    np.testing.assert_array_equal(ours, similar[:, : ours.shape[1]])
    assert not similar[:, ours.shape[1] :].any()
    apart = cMatrices.calculate_ngtdm(levels, inside, distances, n, *plane)[0][rows]
    np.testing.assert_allclose(counts.deviations(), apart[:, 1], rtol=1e-14)
    runs, _ = cMatrices.calculate_glrlm(levels, inside, n, max(inside.shape), *plane)
    ours = counts.runs()
    runs = runs[0][rows].transpose(2, 0, 1)
    np.testing.assert_array_equal(ours, runs[:, :, : ours.shape[2]])
    assert ours.sum() == runs.sum()
    zones = cMatrices.calculate_glszm(levels, inside, n, int(inside.sum()), *plane)[0][rows]
    ours, sizes = counts.zones()
    np.testing.assert_array_equal(ours, zones[:, sizes - 1])
    assert ours.sum() == zones.sum()


def test_the_order_along_lines_of_a_large_lesion_is_not_kept(monkeypatch):
    (inside, values), setting = CASES["volume"]
    found = discretise(values[inside], {"binWidth": 1.0})
    expected = TextureCounts(Grid(inside, setting), found, setting).runs()
    monkeypatch.setattr(counting, "_KEPT", 10)
    grid = Grid(inside, setting)
    for _ in range(2):
        np.testing.assert_array_equal(TextureCounts(grid, found, setting).runs(), expected)
    assert not grid._lines


def test_more_levels_than_small_integers_tell_apart(monkeypatch):
    (inside, values), setting = CASES["many levels"]
    found = discretise(values[inside], {"binWidth": 1.0})
    one = TextureCounts(Grid(inside, setting), found, setting)
    monkeypatch.setattr(counting, "_SMALL", 10)
    two = TextureCounts(Grid(inside, setting), found, setting)
    for part in ("pairs", "dependent", "runs"):
        np.testing.assert_array_equal(getattr(one, part)(), getattr(two, part)())
    np.testing.assert_array_equal(one.zones()[0], two.zones()[0])
