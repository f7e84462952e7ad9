"""Phantoms of several centres: the same lesions, other images, and labels that may go with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.datasets import make_lesions


def test_one_centre_is_what_it_was_and_centres_have_the_same_lesions():
    X, y, truth = make_lesions(6, random_state=0)
    assert "centre" not in X
    several = make_lesions(6, n_centres=3, centre_effect=1.0, random_state=0)
    np.testing.assert_array_equal(several[1], y)
    pd.testing.assert_frame_equal(several[2], truth, check_flags=False)
    assert set(several[0]["centre"]) <= {"centre0", "centre1", "centre2"}
    # Without an effect only the column is new.
    plain = make_lesions(6, n_centres=3, random_state=0)[0]
    for name in ("image", "mask"):
        for case in X.index:
            np.testing.assert_array_equal(plain.loc[case, name], X.loc[case, name])


@pytest.mark.parametrize("settings", [{}, {"n_lesions": (2, 3)}, {"n_dim": 2}], ids=str)
def test_images_differ_as_the_table_of_centres_says(settings):
    X, _, truth = make_lesions(
        24, n_centres=3, centre_effect=1.5, background=1.0, random_state=2, **settings
    )
    centres = truth.attrs["centres"]
    for name, group in X.groupby("centre"):
        own = centres.loc[name]
        outside = [case["image"][case["mask"] == 0] for _, case in group.iterrows()]
        level = np.median([np.median(values) for values in outside])
        assert level == pytest.approx(own["gain"] + own["offset"], abs=0.25 * own["gain"])
        (spacing,) = {case[0] for case in group["spacing"]}
        assert spacing == pytest.approx(own["voxel"] * (1.0 if "n_dim" in settings else 2.0))
        for mask in group["mask"]:
            edges = [mask.take([0, -1], axis=axis).any() for axis in range(mask.ndim)]
            assert not any(edges)
    if not settings:
        volume = [
            mask.sum() * spacing[0] ** 3
            for mask, spacing in zip(X["mask"], X["spacing"], strict=True)
        ]
        np.testing.assert_allclose(volume, 4 / 3 * np.pi * truth["radius"] ** 3, rtol=0.06)


def test_labels_go_with_centres_as_far_as_they_are_confounded():
    shares = {}
    for confounding in (0.0, 0.5, 1.0):
        X, y, _ = make_lesions(
            300, n_centres=2, centre_confounding=confounding, n_dim=2, random_state=0
        )
        shares[confounding] = float(np.mean((X["centre"] == "centre1") == (y == 1)))
    assert shares[0.0] == pytest.approx(0.5, abs=0.1)
    assert shares[0.5] == pytest.approx(0.75, abs=0.1)
    assert shares[1.0] == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_centres": 0}, "n_centres must be a whole number"),
        ({"n_centres": 2, "centre_effect": -1}, "centre_effect must be"),
        ({"n_centres": 2, "centre_confounding": 1.5}, "centre_confounding must be"),
        ({"centre_effect": 1.0}, "need n_centres of at least 2"),
    ],
)
def test_parameters_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_lesions(2, **settings)
