"""Images of a spot whose height, side and width vary."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nonredundant import LesionTable


def blobs(n, seed=0):
    """Make images of a spot of varying height, side and width; return them and these factors."""
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
