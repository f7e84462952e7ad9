"""Rank correlations, matched and canonical correlations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.inspection.correlations import (
    held_out_r2,
    matched_correlations,
    rank_correlations,
)


def test_intervals_of_rank_correlations_cover_the_truth():
    rng = np.random.default_rng(0)
    # The truth of normal pairs: 6 / π asin(ρ / 2).
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    covered = 0
    for _ in range(500):
        a = rng.normal(size=60)
        b = 0.6 * a + 0.8 * rng.normal(size=60)
        row = rank_correlations(pd.DataFrame({"a": a}), pd.DataFrame({"b": b})).iloc[0]
        covered += row["low"] <= truth <= row["high"]
    assert 0.93 <= covered / 500 <= 0.975


def test_constants_and_missing_values_take_no_part():
    rng = np.random.default_rng(0)
    a = rng.normal(size=30)
    b = np.where(np.arange(30) < 5, np.nan, a)
    found = rank_correlations(
        pd.DataFrame({"a": a, "c": np.ones(30)}), pd.DataFrame({"b": b, "k": np.ones(30)})
    )
    assert found[["latent", "feature"]].to_numpy().tolist() == [["a", "b"]]
    assert found["correlation"].item() == pytest.approx(1.0)


def test_partners_are_found_in_any_order_and_sign():
    a = np.random.default_rng(0).normal(size=(50, 3))
    matched, canonical = matched_correlations(a, -a[:, [2, 0, 1]] * [1, 5, 2] + 3)
    np.testing.assert_allclose(matched, 1.0)
    np.testing.assert_allclose(canonical, 1.0)


def test_a_rotation_is_told_from_a_loss():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(300, 2))
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    matched, canonical = matched_correlations(a, a @ turn)
    np.testing.assert_allclose(matched, np.sqrt(0.5), atol=0.1)
    np.testing.assert_allclose(canonical, 1.0, atol=1e-6)
    assert held_out_r2(a @ turn, a).min() > 0.999
    assert held_out_r2(rng.normal(size=(300, 2)), a).max() < 0.05
