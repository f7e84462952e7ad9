"""The fresh discriminator on Gaussians of known information."""

from __future__ import annotations

import pytest
from pairs_for_tests import correlated_gaussians

from nonredundant import redundancy_score


@pytest.mark.parametrize("nats", [0.3, 1.0])
def test_discriminator_finds_the_information_of_gaussians(nats):
    pairs = correlated_gaussians(800, nats, size=1)
    found = redundancy_score(*pairs, "discriminator-nats", random_state=0)
    assert found == pytest.approx(nats, rel=0.15, abs=0.03)


@pytest.mark.parametrize("nats", [0.5, 1.0])
def test_discriminator_finds_most_of_it_in_few_rows_of_two_columns(nats):
    pairs = correlated_gaussians(800, nats, size=2)
    found = redundancy_score(*pairs, "discriminator-nats", random_state=0)
    assert 0.7 * nats < found < 1.1 * nats
