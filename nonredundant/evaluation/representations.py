"""What is learned from the patches in one fold."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from nonredundant.evaluation.feature_sets import Variant
from nonredundant.evaluation.folds import Fold
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable
from nonredundant.models.baselines import PatchPCA, Residualiser
from nonredundant.utils.context import one_thread, recorded_warnings


@dataclass
class Learned:
    """One variant fitted in one fold: the features of every lesion, and what made them.

    `d` holds a row a sample, the mean of `lesions`, which holds a row a lesion.
    """

    variant: Variant
    repeat: int
    fold: int
    d: np.ndarray
    lesions: np.ndarray
    columns: list[str]
    model: Any
    history: pd.DataFrame | None
    seconds: float
    warnings: list[str] = field(default_factory=list)


def learn(
    table: LesionTable,
    y: np.ndarray,
    target: np.ndarray,
    fold: Fold,
    variant: Variant,
    cvae: Any,
    key: str,
) -> Learned:
    """Fit one variant on a fold's training rows and describe every lesion with it.

    Networks learn from the labels `y`; hand-crafted columns are picked by `target`, of the
    training samples. `key` stands for table and outcome where results are kept on disk.
    """
    del key
    start = time.perf_counter()
    torch_too = type(cvae).__module__.startswith("nonredundant") and variant.kind == "vae"
    with recorded_warnings() as messages, one_thread(torch_too=torch_too):
        train = table[fold.train]
        hcr = pool_samples(train, train.hcr)
        picked = variant.selection.columns(hcr, target)
        keep = [*picked, *table.columns_of("clinical")]
        shown = table.replace(features=table.features[keep])
        model = _estimator(variant, cvae, fold.seed)
        model.fit(shown[fold.train], y[fold.train])
        values = model.transform(shown)
        if isinstance(values, LesionTable):
            values = values.features.to_numpy()
        lesions = np.asarray(values, dtype=float)
        d = pool_samples(table, lesions).to_numpy(dtype=float)
    columns = [f"{'pca' if variant.kind == 'pca' else 'dlr'}{i:02d}" for i in range(d.shape[1])]
    history = getattr(model, "history_", None)
    seconds = time.perf_counter() - start
    place = (variant, fold.repeat, fold.fold)
    return Learned(*place, d, lesions, columns, model, history, seconds, messages)


def residualise(
    source: Learned, variant: Variant, table: LesionTable, target: np.ndarray, fold: Fold
) -> Learned:
    """Return a variant whose latents are freed of h after training, fitted on training lesions."""
    start = time.perf_counter()
    with recorded_warnings() as messages, one_thread(torch_too=False):
        hcr = pool_samples(table, table.hcr).iloc[fold.train]
        h = table.hcr[variant.selection.columns(hcr, target)]
        rows = np.isin(table.sample, fold.train)
        model = Residualiser().fit(h[rows], source.lesions[rows])
        lesions = model.transform(h, source.lesions)
        d = pool_samples(table, lesions).to_numpy(dtype=float)
    seconds = time.perf_counter() - start
    place = (variant, fold.repeat, fold.fold)
    return Learned(*place, d, lesions, source.columns, model, None, seconds, messages)


def _estimator(variant: Variant, cvae: Any, seed: int) -> Any:
    """Return the untrained estimator of a variant."""
    if variant.kind == "pca":
        size = variant.size or cvae.get_params().get("dlr_size", 16)
        return PatchPCA(size, random_state=seed)
    model = clone(cvae)
    settings: dict[str, Any] = {"output": "dlr", "random_state": seed}
    if not variant.term:
        settings["independence"] = None
    if variant.size is not None:
        settings["dlr_size"] = variant.size
    return model.set_params(**settings)
