"""Conformal p-values of lesions that differ from a reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from spots_for_tests import blobs

from nonredundant import LesionTable
from nonredundant.contrastive import VAE, SepVAE
from nonredundant.inspection import out_of_distribution


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
