"""Spots of known height, side and width, and a network fitted on them."""

from __future__ import annotations

import pytest
from spots_for_tests import blobs

from nonredundant import NonRedundantCVAE


@pytest.fixture(scope="session")
def fitted():
    """Spots, their factors, and a network that knows the height already."""
    table, truth = blobs(160)
    cvae = NonRedundantCVAE(
        dlr_size=3, max_epochs=60, batch_size=32, augment=None, random_state=0, device="cpu"
    )
    return table, truth, cvae.fit(table)
