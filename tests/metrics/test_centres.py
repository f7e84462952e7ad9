"""Whether features tell the centre: level, power, groups, and centres that are too small."""

from __future__ import annotations

import numpy as np

from nonredundant.metrics import centre_coding


def draw(seed, shift=0.0, n=80):
    """Return correlated features of three centres of unequal size, one of which is shifted."""
    rng = np.random.default_rng(seed)
    centre = rng.choice(["a", "b", "c"], p=[0.6, 0.25, 0.15], size=n)
    values = rng.normal(size=(n, 10)) @ rng.normal(size=(10, 30))
    return values + shift * (centre == "a")[:, None], centre


def test_noise_tells_no_centre_and_p_is_uniform():
    found = [centre_coding(*draw(seed), n_permutations=60, random_state=seed) for seed in range(60)]
    # The mean of 60 uniform numbers has a standard deviation of 0.037.
    assert abs(np.mean([one.p_value for one in found]) - 0.5) < 0.12
    assert np.mean([one.p_value <= 0.05 for one in found]) <= 0.15
    # Of unequal centres, too, chance is one in three.
    assert abs(np.mean([one.null_mean for one in found]) - 1 / 3) < 0.01


def test_a_shifted_centre_is_told_whatever_the_units():
    values, centre = draw(0, shift=6.0)
    found = centre_coding(values, centre)
    assert found.estimate > found.null_95
    assert found.p_value < 0.01
    again = centre_coding(1000 * values + 5, centre)
    np.testing.assert_allclose(again[:4], found[:4], atol=1e-9)


def test_gaps_and_constant_columns_are_passed_over():
    values, centre = draw(0, shift=6.0)
    odd = np.column_stack([values, np.full(80, 3.0), np.full(80, np.nan)])
    assert centre_coding(odd, centre).estimate == centre_coding(values, centre).estimate
    odd[:5, 0] = np.nan
    assert np.isfinite(centre_coding(odd, centre).estimate)


def test_small_centres_are_left_out_and_named():
    values, centre = draw(0)
    centre = np.where(np.arange(80) < 3, "tiny", centre)
    found = centre_coding(values, centre)
    assert (found.n_centres, found.n_samples) == (3, 77)
    assert found.detail == "left out, with fewer than 5 independent samples: tiny (3)"
    alone = centre_coding(values, np.where(np.arange(80) < 3, "tiny", "a"))
    assert np.isnan(alone.estimate)
    assert alone.detail == "fewer than two centres have 5 independent samples or more"


def test_copies_of_a_patient_tell_the_centre_only_where_they_are_broken_up():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(20), 4)
    values = rng.normal(size=(20, 40))[patient] + 0.01 * rng.normal(size=(80, 40))
    centre = rng.permutation(np.arange(20) % 2)[patient].astype(str)
    assert centre_coding(values, centre).estimate > 0.9
    assert centre_coding(values, centre, groups=patient).p_value > 0.05


def test_groups_that_are_the_centres_leave_nothing_to_predict():
    values, centre = draw(0, shift=6.0)
    found = centre_coding(values, centre, groups=centre)
    assert np.isnan(found.estimate)
    assert "fewer than two centres have 5 independent samples" in found.detail
