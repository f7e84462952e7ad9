"""The test that takes away what patients of similar known features share."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant.statistics.added_information import (
    added_information,
    added_information_of_residuals,
    similarity_corrected,
)


def draw(seed, n=120, n_h=100, shared=1.0, effect=0.0, groups=None):
    """Return h, d and an outcome; d and the outcome share a sum of all columns of h."""
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(n, n_h))
    d = rng.normal(size=(n, 4))
    if groups is not None:
        h, d = h[groups], d[groups] + 0.1 * rng.normal(size=d.shape)
    hidden = h.sum(axis=1) / np.sqrt(n_h)
    latents = d.copy()
    latents[:, 0] += shared * hidden
    y = (2 * shared * hidden + effect * d[:, 1] + rng.logistic(size=n) > 0).astype(float)
    return h, latents, y if groups is None else y[2 * groups]


def share_of_claims(test, draws=40, **settings):
    found = [test(*draw(seed, **settings), seed) for seed in range(draws)]
    return np.mean(np.array(found) <= 0.05)


def by_similarity(h, d, y, seed, **settings):
    return similarity_corrected(y, h, d, n_permutations=99, random_state=seed, **settings).p_value


def by_permutation(h, d, y, seed):
    return added_information_of_residuals(
        y - y.mean(), d, n_permutations=99, random_state=seed
    ).p_value


def test_a_sum_of_more_columns_than_can_be_learned_is_no_information():
    assert share_of_claims(by_permutation) > 0.7
    assert share_of_claims(by_similarity) <= 0.1


def test_an_effect_of_its_own_is_seen_nearly_as_often_as_by_permutation():
    settings = {"shared": 0.0, "effect": 1.5, "n_h": 20}
    assert share_of_claims(by_similarity, **settings) > 0.8 * share_of_claims(
        by_permutation, **settings
    )
    assert share_of_claims(by_permutation, **settings) > 0.5


def test_without_any_effect_the_level_is_kept():
    assert share_of_claims(by_similarity, draws=100, shared=0.0) <= 0.12


def test_groups_are_exchanged_whole_and_not_compared_within():
    groups = np.repeat(np.arange(60), 2)

    def grouped(h, d, y, seed):
        return by_similarity(h, d, y, seed, groups=groups)

    settings = {"groups": groups, "n_h": 20}
    assert share_of_claims(by_permutation, shared=0.0, **settings) > 0.15
    assert share_of_claims(grouped, shared=0.0, **settings) <= 0.15
    assert share_of_claims(grouped, shared=0.0, effect=3.0, **settings) > 0.5


def test_rows_are_exchanged_within_centres():
    centre = np.arange(90) % 2

    def centred(h, d, y, seed):
        return by_similarity(h, d, y, seed, centres=centre)

    def scanned(test):
        found = []
        for seed in range(40):
            rng = np.random.default_rng(seed)
            h, d = rng.normal(size=(90, 3)), rng.normal(size=(90, 2)) + 3 * centre[:, None]
            y = (2 * centre - 1 + rng.logistic(size=90) > 0).astype(float)
            found.append(test(h, d, y, seed) <= 0.05)
        return np.mean(found)

    assert scanned(by_similarity) > 0.8
    assert scanned(centred) <= 0.15


@pytest.mark.parametrize("kind", ["classes", "times", "numbers"])
def test_every_kind_of_outcome(kind):
    rng = np.random.default_rng(0)
    h, d = rng.normal(size=(120, 5)), rng.normal(size=(120, 2))
    score = 2 * d[:, 0] + rng.normal(size=120)
    y = score
    if kind == "classes":
        y = np.digitize(score, [-1, 1])
    elif kind == "times":
        pairs = zip(rng.uniform(size=120) < 0.7, np.exp(-score), strict=True)
        y = np.array(list(pairs), dtype=[("event", bool), ("time", float)])
    found = added_information(h, d, y, method="similarity", n_permutations=99, random_state=0)
    assert found.method == "similarity"
    assert found.p_value == 0.01
    assert found.statistic > found.null_95


def test_what_cannot_be_tested_has_a_reason():
    found = similarity_corrected([0.0, 1.0] * 3, np.zeros((6, 0)), np.ones((6, 1)))
    assert np.isnan(found.p_value)
    assert found.reason
    assert not np.isnan(
        similarity_corrected(
            np.arange(20.0) % 2, np.zeros((20, 0)), np.arange(20.0)[:, None], random_state=0
        ).p_value
    )
