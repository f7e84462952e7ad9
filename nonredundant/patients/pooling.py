"""`LesionPooling`: pooling of the features of several lesions to one row per patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.blocks import LEFT_OUT
from nonredundant.lesions.dissemination import COLUMNS, dissemination_features, lesion_sizes
from nonredundant.lesions.features import constant_columns, read_table
from nonredundant.lesions.measures import lesion_volumes, volume_column
from nonredundant.lesions.table import LesionTable
from nonredundant.utils.output import NamedOutputMixin
from nonredundant.utils.validation import StrOptions

#: Pooling methods; the names of the output columns start with them.
POOLINGS = ("mean", "max", "min", "std", "sum", "largest", "volume")
#: Number of samples that a message names.
_SHOWN = 5


class LesionPooling(NamedOutputMixin, TransformerMixin, BaseEstimator):
    """Pool the lesions of each patient into one row.

    The baseline of a graph of lesions: relations between lesions are lost, except for those that
    dissemination features summarise. Clinical variables, which are the same for all lesions of a
    patient, are returned once.

    Parameters
    ----------
    how : {"mean", "max", "min", "std", "sum", "largest", "volume"} or list of these, \
default="mean"
        Pooling method of each feature: its mean, maximum, minimum, standard deviation or sum over
        the lesions of the patient, its value in the largest lesion (the mean over ties), or its
        mean weighted by volume. With a list, the columns of all methods are concatenated.
    volume_column : str or None, default=None
        Feature that is the volume for "largest" and "volume". None: the volume of pyradiomics (in
        2-D its area), else the number of voxels in the mask of the lesion.
    dissemination : bool, default=False
        Whether to append dissemination features, for instance `dissemination__d_max`: number of
        lesions, total volume, total lesion glycolysis and distances. The table must have positions
        and the volume of pyradiomics.

    Attributes
    ----------
    feature_names_in_ : array of str
        Columns of the table at `fit`.
    n_features_in_ : int
        Number of these columns.

    See Also
    --------
    LesionGraphClassifier : Attention over the graph of a patient's lesions.
    nonredundant.extraction.dissemination_features : The features that `dissemination` appends.

    Notes
    -----
    Missing values are ignored. A feature that is missing in all lesions of a patient is missing in
    the output and needs an imputer after this step. The order of lesions does not matter.

    Examples
    --------
    >>> import pandas as pd
    >>> from nonredundant import LesionTable
    >>> from nonredundant.patients import LesionPooling
    >>> features = pd.DataFrame({"volume": [1.0, 3.0, 5.0], "uptake": [8.0, 4.0, 6.0]})
    >>> table = LesionTable(features, sample=[0, 0, 1], index=["anna", "bert"])
    >>> LesionPooling(["max", "volume"]).set_output(transform="pandas").fit_transform(table)
          max__volume  max__uptake  volume__volume  volume__uptake
    anna          3.0          8.0             2.5             5.0
    bert          5.0          6.0             5.0             6.0
    """

    _parameter_constraints = {
        "how": [StrOptions(set(POOLINGS)), list, tuple],
        "volume_column": [str, None],
        "dissemination": ["boolean"],
    }

    def __init__(
        self,
        how: str | Sequence[str] = "mean",
        *,
        volume_column: str | None = None,
        dissemination: bool = False,
    ) -> None:
        self.how = how
        self.volume_column = volume_column
        self.dissemination = dissemination

    def fit(self, X: Any, y: Any = None) -> LesionPooling:
        """Check the parameters and store the column names; values are not used.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The lesions; each row of a matrix is a patient with one lesion.
        y : None
            Ignored.

        Returns
        -------
        self
            The transformer.

        Raises
        ------
        ValueError
            If `how` is empty or has an unknown method, features are not numbers, or dissemination
            is requested and positions or volumes are missing.
        """
        self._validate_params()  # type: ignore[attr-defined]
        unknown = [how for how in self.methods if how not in POOLINGS]
        if unknown or not self.methods:
            raise ValueError(
                f"how must be one of {', '.join(POOLINGS)}, or a list of these; got {self.how!r}"
            )
        table = read_table(self, X, reset=True)
        if self.dissemination:
            lesion_sizes(table)
        clinical = set(constant_columns(table))
        others = clinical | set(table.columns_of(LEFT_OUT))
        self._lesion_columns = [name for name in table.columns if name not in others]
        self._clinical_columns = [name for name in table.columns if name in clinical]
        return self

    def transform(self, X: Any) -> Any:
        """Pool the lesions to one row per patient.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_samples, n_columns) or DataFrame
            The pooled features, method by method, dissemination if requested, then the clinical
            variables.

        Raises
        ------
        ValueError
            If the table has other columns than at `fit`, a clinical variable differs between
            lesions of one patient, or volumes or positions are needed and missing.
        """
        check_is_fitted(self, "n_features_in_")
        table = read_table(self, X, reset=False)
        constant_columns(table)
        values = table.features[self._lesion_columns].to_numpy(dtype=np.float64)
        starts = np.searchsorted(table.sample, np.arange(table.n_samples))
        parts = [self.pool_values(values, table)]
        if self.dissemination:
            parts.append(dissemination_features(table).to_numpy())
        clinical = table.features[self._clinical_columns].to_numpy(dtype=np.float64)[starts]
        return self._wrap(np.hstack([*parts, clinical]), table.index)

    def pool_values(self, values: np.ndarray, table: LesionTable) -> np.ndarray:
        """Pool any values of the lesions to one row per patient, method by method.

        Parameters
        ----------
        values : array of shape (n_lesions, n_columns)
            Values of the lesions, in the order of the table.
        table : LesionTable
            Table that gives the patient and the volume of each lesion.

        Returns
        -------
        array of shape (n_samples, n_methods * n_columns)
            The pooled values.
        """
        starts = np.searchsorted(table.sample, np.arange(table.n_samples))
        return np.hstack([self._pool(values, table, starts, how) for how in self.methods])

    def pooled_names(self, columns: Iterable[str]) -> list[str]:
        """Return the names of pooled columns, for instance `max__original_glcm_Contrast`.

        Parameters
        ----------
        columns : iterable of str
            Names of the columns before pooling.

        Returns
        -------
        list of str
            The names, method by method.
        """
        names = list(columns)
        return [f"{how}__{name}" for how in self.methods for name in names]

    def pool(self, X: LesionTable) -> LesionTable:
        """Return the pooled features as a table with one lesion per patient and the same blocks.

        Parameters
        ----------
        X : LesionTable
            As at `fit`.

        Returns
        -------
        LesionTable
            The pooled table: features, status and provenance, without patches and positions.

        Examples
        --------
        >>> import pandas as pd
        >>> from nonredundant import LesionTable
        >>> table = LesionTable(pd.DataFrame({"uptake": [8.0, 4.0, 6.0]}), sample=[0, 0, 1])
        >>> LesionPooling("max").fit(table).pool(table)
        LesionTable(2 samples, 2 lesions, 1 HCR, 0 clinical, no patches)
        """
        check_is_fitted(self, "n_features_in_")
        names = self.get_feature_names_out()
        values = pd.DataFrame(np.asarray(self.transform(X)), columns=names)
        pooled = self.pooled_names(self._lesion_columns)
        kinds = [X.blocks.get(name, "hcr") for name in self._lesion_columns]
        blocks = dict(zip(pooled, kinds * len(self.methods), strict=True))
        return LesionTable(
            values,
            blocks=blocks | dict.fromkeys(self._clinical_columns, "clinical"),
            status=X.status.to_numpy(),
            samples=X.samples,
            provenance=X.provenance,
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns, for instance `max__original_glcm_Contrast`.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns of a matrix at `fit`; x0, x1, … by default. Ignored if these
            have names.

        Returns
        -------
        array of str
            The names.

        Raises
        ------
        ValueError
            If the number of names differs from that of the columns.
        """
        check_is_fitted(self, "n_features_in_")
        lesion, clinical = self._lesion_columns, self._clinical_columns
        if input_features is not None and not hasattr(self, "feature_names_in_"):
            if len(input_features) != len(lesion):
                raise ValueError(
                    f"input_features should have length {len(lesion)}, the number of columns at "
                    f"fit, got {len(input_features)}"
                )
            lesion = [str(name) for name in input_features]
        spread = [f"dissemination__{name}" for name in COLUMNS] if self.dissemination else []
        return np.asarray([*self.pooled_names(lesion), *spread, *clinical], dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Declare that missing values are allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @property
    def methods(self) -> list[str]:
        """The pooling methods as a list."""
        return [self.how] if isinstance(self.how, str) else list(self.how)

    def _pool(
        self, values: np.ndarray, table: LesionTable, starts: np.ndarray, how: str
    ) -> np.ndarray:
        """Pool the values to one row per patient by one method."""
        if table.is_single and how not in ("std", "sum"):
            return values
        if how == "max":
            return np.fmax.reduceat(values, starts)
        if how == "min":
            return np.fmin.reduceat(values, starts)
        if how == "sum":
            known = np.add.reduceat(~np.isnan(values), starts) > 0
            return np.where(known, np.add.reduceat(np.nan_to_num(values), starts), np.nan)
        weights = np.ones(len(values))
        if how in ("largest", "volume"):
            weights = np.nan_to_num(self._volumes(table))
        if how == "volume":
            _check_weights(weights, table)
        if how == "largest":
            weights = (weights == np.maximum.reduceat(weights, starts)[table.sample]) * 1.0
        mean = _weighted_mean(values, weights, starts)
        if how != "std":
            return mean
        return np.sqrt(_weighted_mean((values - mean[table.sample]) ** 2, weights, starts))

    def _volumes(self, table: LesionTable) -> np.ndarray:
        """Return the volume of each lesion: `volume_column`, pyradiomics' volume or `volume`."""
        column = self.volume_column
        if column is None and volume_column(table) is None and "volume" in table.blocks:
            column = "volume"
        return lesion_volumes(table, column)


def _check_weights(volumes: np.ndarray, table: LesionTable) -> None:
    """Raise if a lesion has a negative volume."""
    odd = np.flatnonzero(volumes < 0)
    if len(odd):
        of = list(dict.fromkeys(table.index[table.sample[odd]]))[:_SHOWN]
        raise ValueError(
            f"lesions are weighted by volume, and {len(odd)} of {table.n_lesions} volumes are "
            f"negative, such as {volumes[odd[0]]:g}, of the samples {of}: a step before has scaled "
            "or shifted them; name a column as measured by `volume_column`, or pool by the mean"
        )


def _weighted_mean(values: np.ndarray, weights: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Compute the mean of each patient over the values present, NaN if there are none."""
    known = np.where(np.isnan(values), 0.0, weights[:, None])
    total = np.add.reduceat(known, starts)
    mass = np.add.reduceat(known * np.nan_to_num(values), starts)
    return np.divide(mass, total, out=np.full_like(mass, np.nan), where=total > 0)
