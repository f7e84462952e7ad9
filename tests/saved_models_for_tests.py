"""Inputs and outputs of the saved models in `tests/fixtures`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nonredundant import LesionTable

#: Methods whose outputs are stored, by the name of the model.
METHODS = {
    "NonRedundantCVAE": ("transform", "reconstruct", "score_samples"),
    "VAE": ("transform", "reconstruct", "score_samples"),
    "SepVAE": ("transform", "reconstruct", "score_samples"),
    "ContrastiveVAE": ("transform", "reconstruct", "score_samples"),
    "ContrastiveCVAE": ("transform", "reconstruct", "score_samples"),
    "MIDiscriminator": ("predict_proba",),
    "LesionPooling": ("transform",),
    "LesionGraphClassifier": ("predict_proba",),
    "LesionGraphSurvival": ("predict",),
    "FeatureSetClassifier": ("predict_proba",),
    "RadiomicsExtractor": ("get_feature_names_out",),
}
#: Models with parts of scikit-learn, which does not promise to load what another version saved.
WITH_SCIKIT_LEARN = ("FeatureSetClassifier", "RadiomicsExtractor")


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
        values = getattr(model, method)(*_arguments(model, table))
        found[method] = np.asarray(getattr(values, "features", values))
    return found


def _arguments(model: Any, table: LesionTable) -> tuple[Any, ...]:
    """Return the arguments of the methods of a model."""
    if type(model).__name__ == "MIDiscriminator":
        return pair_of(table)
    return () if type(model).__name__ == "RadiomicsExtractor" else (table,)


def pair_of(table: LesionTable) -> tuple[np.ndarray, np.ndarray]:
    """Return the two sides of a pair of dependent variables."""
    values = table.features.to_numpy()
    return values[:, :2], values[:, :1] + values[:, 1:2]


def times_of(inputs: Any) -> np.ndarray:
    """Return times to an event of the patients; the largest uptake shortens them."""
    starts = np.searchsorted(inputs["sample"], np.arange(len(inputs["y"])))
    largest = np.maximum.reduceat(inputs["uptake"], starts)
    times = np.empty(len(largest), dtype=[("event", bool), ("time", float)])
    times["event"], times["time"] = np.arange(len(largest)) % 4 > 0, np.exp(-largest)
    return times


def cases_of(inputs: Any) -> pd.DataFrame:
    """Return a case table of the patients, to fit the clinical transformer of an extractor."""
    y = inputs["y"]
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:6, 2:6] = True
    return pd.DataFrame(
        {
            "image": [mask * 1.0] * len(y),
            "mask": [mask] * len(y),
            "sex": np.where(y == 1, "F", "M"),
        }
    )
