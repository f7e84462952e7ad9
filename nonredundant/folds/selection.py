"""Selection of hand-crafted columns by name and by their association with the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from nonredundant.folds.rankings import univariate
from nonredundant.lesions.features import impute_medians
from nonredundant.lesions.images import image_of, parse_feature
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable


@dataclass(frozen=True)
class Selection:
    """The hand-crafted columns of a set: whole feature classes, and the k best of the others.

    `classes=None` means all columns; `k` columns are selected in the fold by their rank F-test.
    `image` leaves out the columns of other images; those of the lesion itself, such as its shape,
    stay.
    """

    classes: tuple[str, ...] | None = None
    k: int = 0
    image: str | None = None

    def columns(self, hcr: pd.DataFrame, y: np.ndarray) -> list[str]:
        """Select the columns on the training samples `hcr` and their targets `y`."""
        if self.image is not None:
            hcr = hcr[[name for name in hcr.columns if image_of(name) in ("", self.image)]]
        if self.classes is None:
            return list(hcr.columns)
        kept = [name for name in hcr.columns if _class_of(name) in self.classes]
        rest = hcr.drop(columns=kept)
        return kept + pick_columns(rest, y, self.k) if self.k else kept


class SelectHCR(TransformerMixin, BaseEstimator):
    """Keep the hand-crafted columns of a selection; clinical columns stay.

    Parameters
    ----------
    selection : Selection
        Which columns.

    Attributes
    ----------
    columns_ : list of str
        The hand-crafted columns that are kept.
    """

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    def fit(self, X: LesionTable, y: Any = None) -> SelectHCR:
        """Select columns on the means over the lesions of each training sample.

        Parameters
        ----------
        X : LesionTable
            Training samples.
        y : array of shape (n_samples,), optional
            Classes or numbers; needed where the best columns are selected.

        Returns
        -------
        self
            The fitted step.
        """
        self.columns_ = self.selection.columns(pool_samples(X, X.hcr), y)
        return self

    def transform(self, X: LesionTable) -> LesionTable:
        """Keep the selected columns and the clinical ones.

        Parameters
        ----------
        X : LesionTable
            The samples.

        Returns
        -------
        LesionTable
            The lesions with these columns.
        """
        return X.replace(features=X.features[[*self.columns_, *X.columns_of("clinical")]])

    def __sklearn_tags__(self) -> Any:
        """Declare whether the selection sees labels."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.selection.k > 0
        tags.no_validation = True
        return tags


def pick_columns(frame: pd.DataFrame, y: np.ndarray, k: int) -> list[str]:
    """Select the k columns with the highest rank F statistic that are no near copies.

    `y` contains classes, or numbers such as martingale residuals.
    """
    varying = varying_columns(frame)
    if not varying.shape[1]:
        return []
    positions, _ = univariate(varying.to_numpy(dtype=float), y, k)
    return [varying.columns[position] for position in positions]


def varying_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that vary, whose gaps are filled with the medians."""
    values = impute_medians(frame)
    return values.loc[:, values.max(axis=0) > values.min(axis=0)]


def _class_of(name: str) -> str:
    """Return the pyradiomics class of a column: `original_shape_Sphericity` → `shape`."""
    parts = parse_feature(name)
    return parts.feature_class if parts is not None and parts.image_type == "original" else ""
