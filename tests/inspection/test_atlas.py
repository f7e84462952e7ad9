"""Effect of latents on the image, and the features that they are correlated with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from spots_for_tests import blobs

from nonredundant import LesionTable
from nonredundant.contrastive import VAE, SepVAE
from nonredundant.inspection import latent_atlas


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
