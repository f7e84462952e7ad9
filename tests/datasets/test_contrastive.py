"""Images of two populations: truth, sub-types, and parameters out of range."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nonredundant.datasets import make_contrastive, make_digits_on_textures


class TestTwoPopulations:
    @pytest.mark.parametrize("n_dim", [2, 3])
    def test_contrastive_truth(self, n_dim):
        X, y, truth = make_contrastive(40, n_dim=n_dim, size=24, random_state=0)
        assert X["image"].iloc[0].shape == (24,) * n_dim
        assert X["image"].iloc[0].dtype == np.float32
        np.testing.assert_array_equal(y, truth["subtype"] >= 0)
        np.testing.assert_array_equal(truth["salient_strength"].isna(), y == 0)
        assert set(truth["subtype"]) == {-1, 0, 1}

    def test_pattern_is_all_that_targets_add(self):
        plain = make_contrastive(20, salient_effect=0.0, random_state=1)
        added = make_contrastive(20, salient_effect=2.0, random_state=1)
        change = np.array(
            [np.abs(a - b).max() for a, b in zip(added[0]["image"], plain[0]["image"], strict=True)]
        )
        assert (change[added[1] == 0] == 0).all()
        assert (change[added[1] == 1] > 0.3).all()
        energy = [
            np.linalg.norm(a - b) / strength
            for a, b, strength in zip(
                added[0]["image"], plain[0]["image"], added[2]["salient_strength"], strict=True
            )
            if np.isfinite(strength)
        ]
        np.testing.assert_allclose(energy, energy[0], rtol=0.02)

    def test_digits_are_blended_onto_textures(self):
        X, y, truth = make_digits_on_textures(60, digits=(3, 8), blend=1.0, image_noise=0.0,
                                              random_state=0)  # fmt: skip
        from sklearn.datasets import load_digits

        labels = load_digits().target
        used = truth.loc[y == 1, ["subtype", "digit_index"]].to_numpy()
        np.testing.assert_array_equal(labels[used[:, 1]], np.array([3, 8])[used[:, 0]])
        assert len(set(used[:, 1])) == len(used)
        assert (truth.loc[y == 0, "digit_index"] == -1).all()
        images = np.stack(X["image"])
        assert images.shape[1:] == (16, 16)
        assert images.min() >= 0
        assert images.max() <= 1.0 + 1e-6

    @pytest.mark.parametrize("make", [make_contrastive, make_digits_on_textures])
    def test_image_does_not_depend_on_their_number(self, make):
        X, y, truth = make(8, random_state=2)
        fewer, y_fewer, truth_fewer = make(5, random_state=2)
        np.testing.assert_array_equal(np.stack(X["image"])[:5], np.stack(fewer["image"]))
        np.testing.assert_array_equal(y[:5], y_fewer)
        pd.testing.assert_frame_equal(truth.iloc[:5], truth_fewer)

    @pytest.mark.parametrize(
        ("make", "options", "message"),
        [
            (make_contrastive, {"n_dim": 1}, "n_dim must be 2 or 3"),
            (make_contrastive, {"size": 4}, "size must be a whole number of at least 8"),
            (make_contrastive, {"target_fraction": 1.5}, "a finite number from 0 to 1, got 1.5"),
            (make_contrastive, {"salient_effect": float("nan")}, "salient_effect must be"),
            (make_digits_on_textures, {"size": 20}, "a multiple of 8"),
            (make_digits_on_textures, {"digits": (1, 1)}, "two different digits"),
            (make_digits_on_textures, {"digits": (1, 12)}, "two different digits"),
            (make_digits_on_textures, {"blend": -0.1}, "blend must be a finite number from 0 to 1"),
        ],
    )
    def test_bad_parameters_are_named(self, make, options, message):
        with pytest.raises(ValueError, match=message):
            make(4, random_state=0, **options)
