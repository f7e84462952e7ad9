"""What a latent means: atlas, stability, and lesions unlike the known ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, spearmanr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression

from nonredundant import LesionTable, NonRedundantCVAE
from nonredundant.contrastive import VAE, SepVAE
from nonredundant.inspection import latent_atlas, latent_stability, out_of_distribution
from nonredundant.inspection.correlations import (
    held_out_r2,
    matched_correlations,
    rank_correlations,
)


def blobs(n, seed=0):
    """Return images of a spot whose height, side and width vary, and these."""
    rng = np.random.default_rng(seed)
    truth = pd.DataFrame(
        {
            "height": rng.uniform(0.5, 1.5, n),
            "side": rng.choice([-1.0, 1.0], n),
            "width": rng.uniform(1.0, 2.0, n),
        }
    )
    y, x = np.mgrid[:12, :12] - 5.5
    images = [
        t.height * np.exp(-(y**2 + (x - 3 * t.side) ** 2) / (2 * t.width**2))
        for t in truth.itertuples()
    ]
    images = np.array(images)[:, None] + 0.02 * rng.normal(size=(n, 1, 12, 12))
    return LesionTable(truth[["height"]], patches=images.astype("float32")), truth


@pytest.fixture(scope="module")
def fitted():
    """Spots, their factors, and a network that knows the height already."""
    table, truth = blobs(160)
    cvae = NonRedundantCVAE(
        dlr_size=3, max_epochs=60, batch_size=32, augment=None, random_state=0, device="cpu"
    )
    return table, truth, cvae.fit(table)


# Atlas -----------------------------------------------------------------------------------------


def test_the_atlas_tells_where_and_how_much_a_latent_acts(fitted):
    table, _, cvae = fitted
    atlas = latent_atlas(cvae, table)
    assert atlas.maps.shape == (3, 1, 12, 12)
    assert atlas.table["image_share"].sum() == pytest.approx(1.0)
    # What differs lies where spots are, three pixels from the middle, not on the border.
    total = atlas.maps.sum(axis=(0, 1))
    assert total[4:8, [1, 2, 3, 8, 9, 10]].mean() > 5 * total[[0, 11]].mean()
    d = cvae.transform(table)[:, 1:]
    np.testing.assert_allclose(atlas.table["variance"], d.var(axis=0))


def test_the_atlas_tells_what_a_latent_follows(fitted):
    table, truth, cvae = fitted
    atlas = latent_atlas(cvae, table, features=truth)
    d = cvae.transform(table)[:, 1:]
    row = atlas.correlations.query("latent == 'dlr01' and feature == 'side'").iloc[0]
    assert row["correlation"] == pytest.approx(spearmanr(d[:, 1], truth["side"]).statistic)
    assert row["low"] < row["correlation"] < row["high"]
    strongest = atlas.table.set_index("latent")["feature"]
    assert "side" in set(strongest)
    for latent, group in atlas.correlations.groupby("latent"):
        best = group.loc[group["correlation"].abs().idxmax(), "feature"]
        assert strongest[latent] == best


def test_outside_of_the_masks_nothing_is_said_to_change():
    table, _ = blobs(24)
    masks = np.zeros(table.patches.shape, dtype=bool)
    masks[..., 3:9, :] = True
    table = LesionTable(table.features, patches=table.patches, masks=masks)
    vae = VAE(2, max_epochs=10, random_state=0, device="cpu").fit(table)
    maps = latent_atlas(vae, table).maps
    assert not maps[..., :3, :].any()
    assert maps[..., 3:9, :].any()


def test_weights_of_a_classifier_go_to_their_latents(fitted):
    table, truth, cvae = fitted
    classifier = LogisticRegression().fit(cvae.transform(table), truth["side"])
    atlas = latent_atlas(cvae, table, classifier=classifier)
    np.testing.assert_allclose(atlas.table["weight"], np.abs(classifier.coef_[0, 1:]))
    with pytest.raises(ValueError, match="4 columns"):
        latent_atlas(
            cvae, table, classifier=LogisticRegression().fit(truth[["height"]], truth["side"])
        )


def test_a_dead_latent_is_marked(fitted):
    table, _, _ = fitted
    vae = VAE(2, beta=10.0, max_epochs=5, random_state=0, device="cpu")
    with pytest.warns(UserWarning, match="collapsed"):
        vae.fit(table)
    assert latent_atlas(vae, table).table["dead"].all()


def test_latents_of_a_part_of_the_output_are_traversed_by_name():
    table, truth = blobs(40)
    sep = SepVAE(2, 2, output="salient", max_epochs=3, random_state=0, device="cpu")
    sep.fit(table, (truth["side"] > 0).astype(int))
    atlas = latent_atlas(sep, table, n_lesions=40)
    assert atlas.table["latent"].tolist() == ["salient00", "salient01"]
    sd = np.sqrt(atlas.table["variance"][0])
    ends = sep.traverse(table, "salient00", [-sd / 2, sd / 2])
    np.testing.assert_allclose(atlas.maps[0], np.abs(ends[:, 1] - ends[:, 0]).mean(axis=0))


def test_what_has_no_images_has_no_atlas(fitted):
    _, truth, cvae = fitted
    with pytest.raises(ValueError, match="without patches"):
        latent_atlas(cvae, LesionTable(truth[["height"]]))


# Correlations ----------------------------------------------------------------------------------


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


# Stability -------------------------------------------------------------------------------------


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


class Columns(TransformerMixin, BaseEstimator):
    """A stand-in whose first latent is always the same and whose second is noise of its seed."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw the noise."""
        self.noise_ = np.random.default_rng(self.random_state).normal(size=len(X))
        return self

    def transform(self, X):
        """Return the two columns."""
        return np.c_[X.features.iloc[:, 0], self.noise_]

    def get_feature_names_out(self, input_features=None):
        """Name them as the family does."""
        return np.array(["latent00", "latent01"], dtype=object)


def test_what_comes_back_is_told_from_what_does_not():
    table = LesionTable(pd.DataFrame({"a": np.random.default_rng(9).normal(size=200)}))
    found = latent_stability(Columns(0).fit(table), table, n_fits=3, random_state=0)
    assert found.table["comes_back"].tolist() == [True, False]
    np.testing.assert_allclose(found.table["matched"], [1.0, 0.0], atol=0.2)
    np.testing.assert_allclose(found.table["recovered"], [1.0, 0.0], atol=0.1)
    assert found.canonical.shape == (3, 2)
    assert found.chance < 0.2
    with pytest.raises(ValueError, match="n_fits"):
        latent_stability(Columns(0).fit(table), table, n_fits=0)


def test_stability_goes_into_the_atlas_and_leaves_the_estimator_alone(fitted):
    table, _, cvae = fitted
    before = cvae.transform(table)
    found = latent_stability(cvae, table, n_fits=1, random_state=1)
    np.testing.assert_array_equal(cvae.transform(table), before)
    # Side and width are found under every seed, though not in the same coordinates.
    assert found.canonical[0, :2].min() > 0.9
    atlas = latent_atlas(cvae, table, stability=found)
    pd.testing.assert_series_equal(atlas.table["comes_back"], found.table["comes_back"])


# Lesions unlike the known ones -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cvae", "vae", "sepvae"])
def test_every_model_finds_odd_lesions(fitted, kind):
    table, truth, cvae = fitted
    model = {
        "cvae": lambda: cvae,
        "vae": lambda: VAE(3, max_epochs=40, random_state=0, device="cpu").fit(table),
        "sepvae": lambda: SepVAE(2, 2, max_epochs=40, random_state=0, device="cpu").fit(
            table, (truth["side"] > 0).astype(int)
        ),
    }[kind]()
    reference, _ = blobs(99, seed=1)
    odd = LesionTable(
        reference.features[:5],
        patches=reference.patches[:5].transpose(0, 1, 3, 2).copy(),
        index=[f"turned{i}" for i in range(5)],
    )
    found = out_of_distribution(model, reference, odd)
    assert found.index.tolist() == [f"turned{i}" for i in range(5)]
    assert found["reconstruction_p"].max() <= 0.02
    assert (found["p_value"] <= 2 * found["reconstruction_p"]).all()
    ordinary = out_of_distribution(model, reference, blobs(40, seed=5)[0])
    assert ordinary["p_value"].median() > 0.2


def test_p_values_of_like_lesions_keep_their_level(fitted):
    _, _, cvae = fitted
    pool, _ = blobs(4000, seed=2)
    # Independent trials: 19 for reference and one in question.
    trials = [
        out_of_distribution(cvae, pool[i : i + 19], pool[i + 19 : i + 20]).iloc[0]
        for i in range(0, 4000, 20)
    ]
    found = pd.DataFrame(trials)
    for name in ("reconstruction_p", "kl_p"):
        for level in (0.1, 0.5):
            assert binomtest(int((found[name] <= level + 1e-9).sum()), 200, level).pvalue > 0.01
    assert (found["p_value"] <= 0.1).mean() <= 0.16


def test_parts_add_up_to_the_bound(fitted):
    table, _, cvae = fitted
    found = out_of_distribution(cvae, table, table[:9])
    bound = -found["reconstruction"] - cvae.beta * found["kl"]
    np.testing.assert_allclose(bound, cvae.score_samples(table[:9]), rtol=1e-5)


def test_lesions_without_image_have_no_p_value(fitted):
    _, _, cvae = fitted
    reference, _ = blobs(30, seed=4)
    blind = LesionTable(
        reference.features[:3],
        patches=reference.patches[:3],
        status=["ok", "mask holds no voxels", "ok"],
    )
    found = out_of_distribution(cvae, reference, blind)
    assert found.isna().all(axis=1).tolist() == [False, True, False]
