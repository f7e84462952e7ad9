"""`NonRedundantEmbedding`: the part of given deep features that known features do not predict."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.extmath import randomized_svd, svd_flip
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.features import read_table
from nonredundant.lesions.scaler import FeatureScaler
from nonredundant.lesions.table import LesionTable
from nonredundant.models.residualiser import Residualiser
from nonredundant.models.sample_categories import (
    KNOWN_BLOCKS,
    category_columns,
    category_shares,
    check_condition,
    named_categories,
)
from nonredundant.utils.close_names import suggest_names
from nonredundant.utils.output import NamedOutputMixin
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import Interval, InvalidParameterError, StrOptions

#: With more rows and columns than this, the leading components are found by random projections.
_EXACT_SIZE = 1000
#: A column varies if its spread is above this share of its largest value.
_LEAST_SPREAD = 1e-9
#: Components with less than this share of the variance of the first are rounding errors.
_LEAST_VARIANCE = 1e-10


class NonRedundantEmbedding(NamedOutputMixin, TransformerMixin, BaseEstimator):
    """Reduce given deep features to components that hand-crafted features do not predict.

    A foundation model gives thousands of columns per lesion, of which hand-crafted radiomics know
    a part. The columns are standardised and reduced to principal components d, and what mean and
    spread of d are predicted by the known columns h is removed, by regressions that are
    cross-fitted; see `Residualiser`. What remains, r, is new beside h.

    Parameters
    ----------
    n_components : int, default=16
        Number of principal components; fewer if there are fewer lesions or columns.
    embedding : str or None, default=None
        Name of the embedding in the table; None: the only one.
    independent_of : "auto", tuple of str or None, default="auto"
        What h consists of: the blocks "hcr" and "clinical", and columns of
        `LesionTable.samples` by name, such as the centre of a sample. "auto" is both blocks, as
        far as the table has them. None: the components are returned as they are.
    output : {"fused", "dlr"}, default="fused"
        "fused": the usable known columns in their own units, then r. "dlr": r alone.

    Attributes
    ----------
    embedding_ : str
        Name of the embedding; "embedding" for a matrix.
    columns_ : list of str
        Its columns that vary in the training lesions.
    n_components_ : int
        Number of components.
    components_ : array of shape (n_components, n_usable)
        Directions of the components among the standardised columns.
    explained_variance_ratio_ : array of shape (n_components,)
        Share of the variance of the standardised columns that each component has.
    share_explained_ : float
        Share of the variance of all components that the mean given h explains, of lesions that
        the regressions were not fitted to; 0 or less if h explains nothing, NaN without h.
    residualiser_ : Residualiser or None
        The regressions; None without h.
    known_scaler_ : FeatureScaler
        Finds the known columns that vary, and imputes them.
    category_shares_ : dict of str to dict of str to float
        The columns of samples in h, with the share of each category of the training lesions.
    feature_names_in_ : array of str
        Columns at `fit`.
    n_features_in_ : int
        Number of these columns.

    See Also
    --------
    nonredundant.evaluation.compare_feature_sets : Whether embeddings add to radiomics.
    nonredundant.cvae.NonRedundantCVAE : Learns deep features from images.

    Notes
    -----
    A matrix, or a data frame, is an embedding without known columns. Lesions without an embedding
    (rows of NaN) are left out of the fit and get the median of the training lesions; other gaps are
    filled by the medians of their columns. If there are fewer lesions than columns no matrix of
    columns by columns is made.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable
    >>> rng = np.random.default_rng(0)
    >>> volume, hidden = rng.normal(size=(2, 100, 1))
    >>> given = np.hstack([volume, hidden]) @ rng.normal(size=(2, 500))
    >>> table = LesionTable(
    ...     pd.DataFrame(volume, columns=["volume"]), embeddings={"FMCIB": pd.DataFrame(given)}
    ... )
    >>> model = NonRedundantEmbedding(n_components=2).fit(table)
    >>> model.get_feature_names_out().tolist()
    ['volume', 'FMCIB_00', 'FMCIB_01']
    >>> bool(0.3 < model.share_explained_ < 0.7)
    True
    """

    residualiser_: Residualiser | None

    _parameter_constraints: dict[str, Any] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "embedding": [str, None],
        "independent_of": [StrOptions({"auto"}), tuple, list, None],
        "output": [StrOptions({"fused", "dlr"})],
    }

    def __init__(
        self,
        n_components: int = 16,
        *,
        embedding: str | None = None,
        independent_of: Sequence[str] | str | None = "auto",
        output: str = "fused",
    ) -> None:
        self.n_components = n_components
        self.embedding = embedding
        self.independent_of = independent_of
        self.output = output

    def fit(self, X: Any, y: Any = None) -> NonRedundantEmbedding:
        """Fit the components and the regressions; labels are not used.

        Parameters
        ----------
        X : LesionTable, DataFrame or array of shape (n_samples, n_features)
            Lesions with an embedding, or an embedding alone.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range, or names blocks that do not exist.
        ValueError
            If the table has no embedding, or several and none is named, fewer than two lesions
            have one, or no column varies.
        """
        self._validate_params()  # type: ignore[attr-defined]
        table = read_table(self, X, reset=True)
        self.embedding_, columns = self._find(X)
        blocks = self._known_blocks(table, is_table=isinstance(X, LesionTable))
        self._known_columns = list(blocks)
        with_clinical = [name for name, block in blocks.items() if block == "clinical"]
        self._clinical_columns = with_clinical
        values = table.features[columns].to_numpy(dtype=np.float64)
        there = ~np.isnan(values).all(axis=1)
        if there.sum() < 2:
            raise ValueError(
                f"found {int(there.sum())} sample(s) (shape={values.shape}) with an embedding "
                f"{self.embedding_!r}, while a minimum of 2 is required: components need lesions "
                "that differ"
            )
        self._fit_components(values[there], columns)
        known = table.features[self._known_columns]
        self.known_scaler_ = FeatureScaler().fit(known)
        d = self._components_of(values)
        h = self._condition(self.known_scaler_.impute(known), table)[there]
        self._fit_residualiser(h, d[there], table.sample[there])
        found = self._residuals(h, d[there])
        self.median_ = np.median(found, axis=0)
        return self

    def transform(self, X: Any) -> Any:
        """Compute the known columns and the residuals of the components of each lesion.

        Parameters
        ----------
        X : LesionTable, DataFrame or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_samples, n_columns), DataFrame or LesionTable
            The columns that `output` names. If samples have several lesions: a table with these
            columns.

        Raises
        ------
        ValueError
            If the columns differ from those at `fit`.
        """
        check_is_fitted(self, "components_")
        table = read_table(self, X, reset=False)
        known = self.known_scaler_.impute(table.features[self._known_columns])
        values = table.features[self._embedding_columns].to_numpy(dtype=np.float64)
        h = self._condition(known, table)
        r = self._residuals(h, self._components_of(values))
        missing = np.isnan(values).all(axis=1)
        if missing.any():
            labels = table.features.index[missing].unique()[:5].tolist()
            warn_user(
                f"{int(missing.sum())} lesions have no embedding {self.embedding_!r} and get the "
                f"median of the training lesions: cases {labels}; leave these cases out if you do "
                "not want this",
                f"no embedding {self.embedding_}",
            )
            r[missing] = self.median_
        if self.output == "fused":
            r = np.hstack([known, r])
        if not table.is_single:
            names = list(self.get_feature_names_out())
            blocks = {name: "clinical" for name in self._clinical_columns if name in names}
            return table.replace(features=pd.DataFrame(r, columns=names), blocks=blocks)
        return self._wrap(r, getattr(X, "index", None))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Compute the embedding, as far as the components describe it.

        Parameters
        ----------
        X : LesionTable, DataFrame or array of shape (n, n_columns)
            What `transform` returned, which needs the known columns (`output="fused"`) if there
            are any.

        Returns
        -------
        array of shape (n, n_embedding)
            The embedding in its own units; columns that did not vary have their constant.

        Raises
        ------
        ValueError
            If X has another number of columns, or lacks the known columns, or if columns of samples
            are part of h.
        """
        check_is_fitted(self, "components_")
        values = X.features if isinstance(X, LesionTable) else X
        values = np.atleast_2d(np.asarray(values, dtype=np.float64))
        names = self.get_feature_names_out()
        if values.shape[1] != len(names):
            raise ValueError(f"X has {values.shape[1]} columns, but {len(names)} were returned")
        h, d = values[:, : -self.n_components_], values[:, -self.n_components_ :]
        if self.residualiser_ is not None:
            if self.output != "fused":
                raise ValueError(
                    "the residuals alone do not tell the embedding, which depends on the known "
                    "columns: set output='fused'"
                )
            if any(getattr(self, "category_shares_", {}).values()):
                raise ValueError(
                    "the residuals do not tell the embedding, which depends on "
                    f"{list(self.category_shares_)} of the samples, no column of X"
                )
            d = self.residualiser_.inverse(self._condition(h), d)
        found = np.tile(self.constant_, (len(values), 1))
        found[:, self._varies] = d @ self.components_ * self.scale_ + self.mean_
        return found

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns of `transform`.

        Parameters
        ----------
        input_features : None
            Ignored; the names were learned at `fit`.

        Returns
        -------
        array of str
            The known columns if they are returned, then `FMCIB_00`, ….
        """
        check_is_fitted(self, "components_")
        known = self.known_scaler_.names_out_ if self.output == "fused" else []
        own = [f"{self.embedding_}_{i:02d}" for i in range(self.n_components_)]
        return np.asarray([*known, *own], dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Declare that missing values are allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # Reading -------------------------------------------------------------------------------

    def _find(self, X: Any) -> tuple[str, list[str]]:
        """Return the name of the embedding and its columns."""
        if not isinstance(X, LesionTable):
            names = getattr(self, "feature_names_in_", None)
            if names is None:
                names = [f"x{i}" for i in range(self.n_features_in_)]
            return "embedding", list(names)
        names = X.embedding_names
        if not names:
            raise ValueError(
                f"{type(self).__name__} needs an embedding, and the table has none: add it by "
                "table.replace(embeddings={'FMCIB': frame})"
            )
        name = self.embedding
        if name is None and len(names) > 1:
            raise ValueError(f"the table has the embeddings {names}: name one by embedding=")
        if name is not None and name not in names:
            raise ValueError(
                f"the table has no embedding {name!r}; it has {names}{suggest_names([name], names)}"
            )
        name = names[0] if name is None else name
        return name, X.columns_of(name)

    def _known_blocks(self, table: LesionTable, *, is_table: bool) -> dict[str, str]:
        """Return the known columns and their blocks, and check what is named."""
        if isinstance(self.independent_of, tuple | list):
            check_condition(self.independent_of, table.samples, table.blocks)
            # A matrix is an embedding without known columns.
            blocks = [one for one in self.independent_of if is_table and one in KNOWN_BLOCKS]
            lacking = [one for one in blocks if not table.columns_of(one)]
            if lacking:
                raise InvalidParameterError(
                    f"independent_of={self.independent_of!r} names {lacking[0]!r}, but the table "
                    "has no such columns: leave it out, or give them to LesionTable"
                )
        samples = table.samples.iloc[table.sample]
        self.category_shares_ = category_shares(samples, named_categories(self))
        known = table.blocks.items() if is_table else ()
        return {name: kind for name, kind in known if kind in KNOWN_BLOCKS}

    # Components ----------------------------------------------------------------------------

    def _fit_components(self, values: np.ndarray, columns: list[str]) -> None:
        """Standardise the columns that vary, and find the principal components."""
        self._embedding_columns = columns
        empty = np.isnan(values).all(axis=0)
        medians = np.zeros(values.shape[1])
        medians[~empty] = np.nanmedian(values[:, ~empty], axis=0)
        filled = np.where(np.isnan(values), medians, values)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = filled.mean(axis=0), filled.std(axis=0)
        if not np.isfinite(scale).all():
            huge = np.asarray(columns, dtype=object)[~np.isfinite(scale)].tolist()
            raise ValueError(
                f"{len(huge)} columns of the embedding {self.embedding_!r} are too large to be "
                f"standardised, up to {np.abs(filled).max():.3g}: {huge[:5]}; are they damaged?"
            )
        self._varies = scale > _LEAST_SPREAD * np.abs(filled).max(axis=0)
        n_constant = int((~self._varies).sum())
        if n_constant == len(columns):
            raise ValueError(
                f"all {n_constant} columns of {self.embedding_!r} are constant or empty in the "
                "training lesions: is it the embedding of one lesion?"
            )
        if n_constant:
            named = np.asarray(columns, dtype=object)[~self._varies][:5].tolist()
            warn_user(
                f"{n_constant} of {len(columns)} columns of the embedding {self.embedding_!r} are "
                f"constant or empty in the training cohort and are dropped: {named}",
                f"constant columns of {self.embedding_}",
            )
        self.columns_ = [c for c, keep in zip(columns, self._varies, strict=True) if keep]
        self.constant_, self.median_of_columns_ = mean, medians[self._varies]
        self.mean_, self.scale_ = mean[self._varies], scale[self._varies]
        z = (filled[:, self._varies] - self.mean_) / self.scale_
        singular, directions = leading_components(z, self.n_components)
        share = singular**2 / np.square(z).sum()
        kept = share > _LEAST_VARIANCE * share[0]
        self.components_, self.explained_variance_ratio_ = directions[kept], share[kept]
        self.n_components_ = int(kept.sum())

    def _components_of(self, values: np.ndarray) -> np.ndarray:
        """Return the components of lesions; those of lesions without an embedding mean nothing."""
        own = values[:, self._varies]
        own = np.where(np.isnan(own), self.median_of_columns_, own)
        return ((own - self.mean_) / self.scale_) @ self.components_.T

    # Residuals -----------------------------------------------------------------------------

    def _condition(self, known: np.ndarray, table: LesionTable | None = None) -> pd.DataFrame:
        """Return h, the columns and categories that components are made independent of."""
        blocks = KNOWN_BLOCKS if self.independent_of == "auto" else self.independent_of or ()
        clinical = set(self._clinical_columns)
        given = [
            ("clinical" if name in clinical else "hcr") in blocks
            for name in self.known_scaler_.names_out_
        ]
        h = known[:, np.array(given, dtype=bool)]
        if table is not None:
            samples = table.samples.iloc[table.sample]
            # Files of earlier versions know of no categories.
            shares = getattr(self, "category_shares_", {})
            h = np.hstack([h, category_columns(samples, shares)])
        return pd.DataFrame(h).add_prefix("h")

    def _fit_residualiser(self, h: pd.DataFrame, d: np.ndarray, sample: np.ndarray) -> None:
        """Fit the regressions of the components on h, if it has columns."""
        self.residualiser_, self.share_explained_ = None, float("nan")
        if h.shape[1]:
            self.residualiser_ = Residualiser().fit(h, d, sample)
            self.share_explained_ = self.residualiser_.share_explained

    def _residuals(self, h: pd.DataFrame, d: np.ndarray) -> np.ndarray:
        """Return what h does not predict of the components."""
        return d if self.residualiser_ is None else self.residualiser_.transform(h, d)


def leading_components(z: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first singular values and directions of rows whose columns have mean 0.

    Parameters
    ----------
    z : array of shape (n, p)
        The rows.
    k : int
        Most components.

    Returns
    -------
    singular : array of shape (n_components,)
        Singular values, falling.
    directions : array of shape (n_components, p)
        Directions, of which the largest entry of the left singular vectors is positive.
    """
    k = min(k, max(len(z) - 1, 1), z.shape[1])
    if min(z.shape) <= _EXACT_SIZE:
        u, singular, directions = np.linalg.svd(z, full_matrices=False)
        u, directions = svd_flip(u, directions)
    else:
        u, singular, directions = randomized_svd(z, k, random_state=0)
    return singular[:k], np.ascontiguousarray(directions[:k])
