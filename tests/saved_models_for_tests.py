"""Inputs and outputs of the saved models in `tests/fixtures`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant import LesionTable

#: Methods whose outputs are stored, by the name of the model.
METHODS = {
    "NonRedundantCVAE": ("transform", "reconstruct", "score_samples"),
    "SepVAE": ("transform", "reconstruct", "score_samples"),
    "LesionGraphClassifier": ("predict_proba",),
    "FeatureSetClassifier": ("predict_proba",),
}


def make_inputs(n: int = 40, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw patients with one to three lesions, one clinical variable and a label."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(n), rng.integers(1, 4, n))
    uptake = rng.normal(size=len(sample))
    patches = rng.normal(size=(len(sample), 1, 8, 8)) + uptake[:, None, None, None]
    y = (np.maximum.reduceat(uptake, np.searchsorted(sample, np.arange(n))) > 0.6).astype(int)
    patches[:, :, 2:5, 2:5] += 2.0 * y[sample][:, None, None, None]
    return {
        "sample": sample,
        "y": y,
        "uptake": uptake,
        "volume": np.exp(rng.normal(size=len(sample))),
        "age": rng.normal(60, 10, n)[sample],
        "patches": patches.astype(np.float32),
        "positions": 50 * rng.normal(size=(len(sample), 3)),
    }


def table_of(inputs: Any) -> LesionTable:
    """Return the lesions of `make_inputs` as a table."""
    columns = {"uptake": inputs["uptake"], "volume": inputs["volume"], "age": inputs["age"]}
    return LesionTable(
        pd.DataFrame(columns),
        blocks={"age": "clinical"},
        patches=inputs["patches"],
        sample=inputs["sample"],
        positions=inputs["positions"],
    )


def outputs_of(model: Any, table: LesionTable) -> dict[str, np.ndarray]:
    """Return the outputs of a fitted model by method name."""
    found = {}
    for method in METHODS[type(model).__name__]:
        values = getattr(model, method)(table)
        found[method] = np.asarray(getattr(values, "features", values))
    return found
