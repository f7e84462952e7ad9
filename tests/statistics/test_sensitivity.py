"""How large an unseen function of known features must be to explain a finding away."""

from __future__ import annotations

import numpy as np
import pytest

from nonredundant.statistics import unseen_share


def test_a_stronger_finding_or_less_relevant_features_need_a_larger_function():
    rng = np.random.default_rng(0)
    d = rng.normal(size=(300, 3))
    noise = rng.normal(size=300)
    weak, strong = (effect * d[:, 0] + noise for effect in (0.5, 1.5))
    assert 0 < unseen_share(weak, d, 0.3) < unseen_share(strong, d, 0.3)
    assert unseen_share(strong, d, 0.3) > unseen_share(strong, d, 0.6)
    assert unseen_share(strong, d, 0.0) == np.inf


def test_a_function_of_the_stated_size_makes_the_correlation():
    """A hidden u makes up the share of d; what is left of y has the relevance through u."""
    rng = np.random.default_rng(1)
    n, share, relevance = 20_000, 0.4, 0.3
    u = rng.normal(size=n)
    d = np.sqrt(share) * u + np.sqrt(1 - share) * rng.normal(size=n)
    # The known features explain `relevance` of the outcome, and u as much of it again.
    left = np.sqrt(relevance) * u + np.sqrt(1 - 2 * relevance) * rng.normal(size=n)
    assert unseen_share(left, d[:, None], relevance) == pytest.approx(share, abs=0.05)


def test_latents_of_folds_are_compared_within_folds():
    rng = np.random.default_rng(2)
    d, strata = rng.normal(size=(200, 1)), np.arange(200) % 2
    left = np.where(strata, -1.0, 1.0) * d[:, 0] + 0.1 * rng.normal(size=200)
    assert unseen_share(left, d, 0.3) == 0.0
    assert unseen_share(left, d, 0.3, strata=strata) > 0.5
