"""Principal components and held-out discriminants."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from nonredundant import LesionTable, NonRedundantCVAE, displays


def test_principal_components_are_those_of_standardised_latents(data):
    display = displays.LatentSpaceDisplay.from_estimator(data.cvae, data.lesions)
    d = data.cvae.transform(data.lesions)[:, 4:]
    values = np.linalg.svd((d - d.mean(axis=0)) / d.std(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(display.explained, values[:2] / values.sum(), rtol=1e-4)
    np.testing.assert_allclose((display.pca**2).sum(axis=0), values[:2], rtol=1e-4)
    assert display.lda is None


def test_discriminants_do_not_separate_noise():
    rng = np.random.default_rng(0)
    noise, y = rng.normal(size=(60, 30)), np.repeat([0, 1], 30)
    display = displays.LatentSpaceDisplay.from_latents(noise, y)
    naive = LinearDiscriminantAnalysis().fit(noise, y).transform(noise)[:, 0]
    assert roc_auc_score(y, naive) > 0.85
    assert 0.3 < roc_auc_score(y, display.lda[:, 0]) < 0.7


@pytest.mark.parametrize("n_classes", [2, 3])
def test_discriminants_separate_what_differs_in_all_folds(n_classes):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(n_classes), 20)
    latents = rng.normal(size=(len(y), 5)) + 8 * np.eye(5)[y]
    lda = displays.LatentSpaceDisplay.from_latents(latents, y).lda
    centres = np.array([lda[y == k].mean(axis=0) for k in range(n_classes)])
    nearest = np.linalg.norm(lda[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == y).all()


def test_classes_too_small_for_held_out_discriminants_leave_the_panel_out():
    display = displays.LatentSpaceDisplay.from_latents(np.eye(5), ["a", "a", "a", "a", "b"])
    assert len(display.axes_) == 1


def test_lesions_take_their_samples_label(data):
    table = LesionTable(
        data.lesions.features.reset_index(drop=True),
        patches=data.lesions.patches,
        masks=data.lesions.masks,
        sample=np.repeat(np.arange(15), 2),
    )
    y = np.arange(15) % 2
    display = displays.LatentSpaceDisplay.from_estimator(data.cvae, table, y)
    assert display.y.tolist() == np.repeat(y, 2).tolist()


def test_latents_of_one_fold_are_drawn_with_their_labels(data):
    display = displays.LatentSpaceDisplay.from_comparison(data.found, feature_set="DLR", fold=2)
    latents = data.found.latents["DLR"].query("fold == 2")
    truth = data.found.predictions.drop_duplicates("sample").set_index("sample")["y"]
    assert display.y.tolist() == truth[latents.index].tolist()
    assert "fold 2" in display.title
    with pytest.raises(ValueError, match="DLR-MI"):
        displays.LatentSpaceDisplay.from_comparison(data.found, feature_set="PCA")
    with pytest.raises(ValueError, match="trained no network"):
        displays.LatentSpaceDisplay.from_comparison(SimpleNamespace(latents={}))


def test_bad_columns_and_outputs_are_named(data):
    with pytest.raises(ValueError, match="'age'.*'volume'"):
        displays.LatentSpaceDisplay.from_estimator(data.cvae, data.lesions, colour_by="age")
    only = NonRedundantCVAE(max_epochs=1, output="hcr", random_state=0).fit(data.lesions)
    with pytest.raises(ValueError, match="output="):
        displays.CorrelationMapDisplay.from_estimator(only, data.lesions)
