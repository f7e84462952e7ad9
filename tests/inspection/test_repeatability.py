"""Stability of features, latents, embeddings and scores over repeats."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import FrozenEncoder, LesionTable, NonRedundantCVAE
from nonredundant.stability import repeat_stability

N = 30


def repeats(noise=0.1, k=2):
    """Return tables of the same lesions with patches, and two lesions of the first sample."""
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(N, 1, 8, 8))
    truth = rng.normal(size=(N, 2))
    sample = np.maximum(np.arange(N) - 1, 0)
    return [
        LesionTable(
            pd.DataFrame(
                truth + noise * rng.normal(size=truth.shape),
                columns=["original_shape_Flatness", "original_glcm_Contrast"],
            ),
            patches=patches + noise * rng.normal(size=patches.shape),
            masks=np.ones(patches.shape, dtype=bool),
            sample=sample,
        )
        for _ in range(k)
    ]


def test_latents_of_equal_tables_agree_wholly_and_of_noise_less():
    tables = repeats()
    cvae = NonRedundantCVAE(2, max_epochs=3, random_state=0, device="cpu").fit(tables[0])
    same = repeat_stability([tables[0], tables[0]], cvae)
    assert same.table["column"].tolist() == ["dlr00", "dlr01"]
    assert same.table["family"].tolist() == ["latent"] * 2
    assert (same.table["icc"] == 1).all()
    assert same.share == 1
    loud = repeat_stability(repeats(noise=2.0), cvae)
    assert (loud.table["icc"] < 0.9).all()


def test_embeddings_scores_and_functions():
    tables = repeats()
    encoder = FrozenEncoder(lambda x: x.mean(axis=(2, 3)), name="Mean").fit(tables[0])
    found = repeat_stability(tables, encoder).table
    assert found["family"].tolist() == ["Mean"]
    assert found["n_samples"].tolist() == [N - 1]
    own = repeat_stability(tables, lambda table: table.patches.mean(axis=(2, 3)))
    np.testing.assert_allclose(found["icc"], own.table["icc"])
    frames = [table.features.iloc[1:].reset_index(drop=True) for table in tables]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(frames[0], np.arange(N - 1) % 2)
    score = repeat_stability(frames, model)
    assert score.table["family"].tolist() == ["score"]
    values = [model.predict_proba(frame)[:, 1] for frame in frames]
    expected = repeat_stability([pd.DataFrame({"score": one}) for one in values])
    pd.testing.assert_frame_equal(score.table, expected.table)


def test_what_a_repeat_did_not_measure_has_no_latents():
    tables = repeats()
    lost = tables[1].features.copy()
    lost.iloc[4] = np.nan
    tables[1] = tables[1].replace(features=lost)
    found = repeat_stability(tables, lambda table: table.patches[:, 0, 0, :2])
    assert found.table["n_samples"].tolist() == [N - 2] * 2
    per_sample = repeat_stability(tables, lambda table: np.arange(len(table)))
    assert per_sample.table["n_samples"].tolist() == [N - 2]
    with pytest.raises(ValueError, match="a row per sample or per lesion"):
        repeat_stability(tables, lambda table: np.zeros(3))


def test_families_and_picture():
    found = repeat_stability(repeats(noise=0.7))
    families = found.by_family()
    assert families["family"].tolist() == ["shape", "glcm"]
    assert families["n_stable"].sum() == found.table["stable"].sum()
    assert "2 columns" in repr(found)
    display = found.plot()
    assert [label.get_text().split("\n")[0] for label in display.ax_.get_yticklabels()] == [
        "shape",
        "glcm",
    ]
    plt.close(display.figure_)


def test_rules_out_of_range_are_refused():
    with pytest.raises(ValueError, match="bound"):
        repeat_stability(repeats(), bound="upper")
    with pytest.raises(ValueError, match="threshold"):
        repeat_stability(repeats(), threshold=75)
    with pytest.raises(TypeError, match="list of tables"):
        repeat_stability(repeats()[0])


def test_a_lesion_that_one_repeat_lost_is_no_disagreement():
    rng = np.random.default_rng(0)
    pairs = np.column_stack([rng.normal(100, 15, size=40), rng.normal(5, 1, size=40)])
    volume = pd.DataFrame({"original_shape_VoxelVolume": pairs.ravel()})
    lost = volume.copy()
    lost.iloc[1::6] = np.nan
    tables = [LesionTable(one, sample=np.repeat(np.arange(40), 2)) for one in (volume, lost)]
    assert repeat_stability(tables).table["icc"].item() == pytest.approx(1)
