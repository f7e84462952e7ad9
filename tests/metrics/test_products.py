"""The largest product: interactions of two columns, which regressions on many do not learn."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant import redundancy_report
from nonredundant.metrics.products import MOST_COLUMNS, largest_product

METHOD = "largest-product"


def signs(n_columns, n=300, seed=0):
    """Return independent columns, and latents of which the first is the sign of a product."""
    rng = np.random.default_rng(seed)
    h, d = rng.normal(size=(n, n_columns)), rng.normal(size=(n, 16))
    d[:, 0] = np.sign(h[:, 2] * h[:, 5]) + 0.1 * d[:, 0]
    return h, d


@pytest.mark.parametrize("n_columns", [20, 107])
def test_the_sign_of_a_product_is_seen_and_named(n_columns):
    methods = ["largest-pair", METHOD]
    report = redundancy_report(
        *signs(n_columns), methods=methods, n_permutations=99, random_state=0
    )
    assert report.loc[METHOD, "p_value"] == pytest.approx(0.01)
    assert report.loc[METHOD, "detail"].startswith("d0 with h2 × h5: correlation")
    assert report.loc["largest-pair", "p_value"] > 0.05


def test_it_holds_its_level():
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        settings = {"methods": METHOD, "n_permutations": 39, "random_state": seed}
        h, d = rng.normal(size=(40, 8)), rng.normal(size=(40, 4))
        p.append(redundancy_report(h, d, **settings).loc[METHOD, "p_value"])
    assert np.mean(np.array(p) <= 0.05) < 0.13


def test_columns_that_span_the_others_stand_for_many():
    """Four copies of each column say nothing new; the product is that of one of them."""
    h, d = signs(60)
    noise = 1e-3 * np.random.default_rng(1).normal(size=(300, 240))
    many = np.tile(h, 4) + noise
    assert many.shape[1] > MOST_COLUMNS
    names = [str(i % 60) for i in range(240)], [f"d{i}" for i in range(16)]
    found = largest_product(many, d, [np.arange(300)], names)
    assert found.pair.startswith("d0 with 2 × 5") or found.pair.startswith("d0 with 5 × 2")


def test_one_column_has_no_product():
    rng = np.random.default_rng(0)
    found = largest_product(
        rng.normal(size=(20, 1)), rng.normal(size=(20, 2)), [np.arange(20)] * 3, (["a"], ["x", "y"])
    )
    assert found.values.tolist() == [0.0, 0.0, 0.0]
    assert found.pair == ""
