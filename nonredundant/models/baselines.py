"""Principal components of patches, the baseline of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.table import LesionTable
from nonredundant.utils.validation import validate_data

#: Largest number of voxels per side; larger patches are averaged down before the decomposition.
_PCA_SIDE = 16


class PatchPCA(TransformerMixin, BaseEstimator):
    """Compute principal components of the masked patches, the baseline of a network.

    Parameters
    ----------
    n_components : int, default=16
        Number of components; fewer if there are fewer samples or voxels.
    random_state : int or None, default=None
        Seed of the randomised decomposition.

    Attributes
    ----------
    pca_ : PCA
        The fitted decomposition.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant import LesionTable
    >>> table = LesionTable.from_arrays(patches=np.random.default_rng(0).normal(size=(9, 1, 8, 8)))
    >>> PatchPCA(2, random_state=0).fit(table).transform(table).shape
    (9, 2)
    """

    def __init__(self, n_components: int = 16, random_state: Any = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> PatchPCA:
        """Fit the components.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions with patches, or a matrix.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.
        """
        from sklearn.decomposition import PCA

        values = self._values(X, reset=True)
        patches = X.patches if isinstance(X, LesionTable) else None
        if patches is not None and patches.shape[1] > 1:
            # Images have units of their own, and each is to have the same weight.
            parts = values.reshape(len(values), patches.shape[1], -1)
            self.channel_mean_ = np.nanmean(parts, axis=(0, 2))
            spread = np.nanstd(parts, axis=(0, 2))
            self.channel_scale_ = np.where(spread > 0, spread, 1.0)
            values = self._scaled(values)
        else:
            self.__dict__.pop("channel_scale_", None)
        n_components = min(self.n_components, *values.shape)
        self.pca_ = PCA(n_components, svd_solver="randomized", random_state=self.random_state)
        self.pca_.fit(values)
        # Saved arrays are contiguous, and products of arrays in another order differ in the last
        # bits: so the model gives the same scores before and after it is saved.
        self.pca_.components_ = np.ascontiguousarray(self.pca_.components_)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Compute the scores of the components.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions with patches, or a matrix.

        Returns
        -------
        array of shape (n_lesions, n_components)
            The scores.
        """
        check_is_fitted(self, "pca_")
        # scikit-learn's `transform_output` may make the scores a data frame.
        values = self._scaled(self._values(X, reset=False))
        return np.asarray(self.pca_.transform(values), dtype=float)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        """Standardise the channels of patches, if there are several; missing ones get the mean."""
        if not hasattr(self, "channel_scale_"):
            return values
        parts = values.reshape(len(values), len(self.channel_scale_), -1)
        scaled = (parts - self.channel_mean_[:, None]) / self.channel_scale_[:, None]
        return np.nan_to_num(scaled).reshape(values.shape)

    def _values(self, X: Any, *, reset: bool) -> np.ndarray:
        """Return one row of voxels per lesion, or the rows of a matrix."""
        if isinstance(X, LesionTable):
            return flat_patches(X)
        return validate_data(self, X, reset=reset, ensure_min_samples=2 if reset else 1)


def flat_patches(table: LesionTable) -> np.ndarray:
    """Return the masked patches, averaged to at most 16 voxels per side, as one row per lesion."""
    patches = table.patches
    if patches is None:
        raise ValueError("the table has no patches: extract it with a patch_shape")
    n, channels, *shape = patches.shape
    steps = [max(1, -(-side // _PCA_SIDE)) for side in shape]
    rows = []
    for i in range(n):
        x = patches[i] if table.masks is None else patches[i] * table.masks[i]
        padded = np.pad(x, [(0, 0), *[(0, -s % k) for s, k in zip(shape, steps, strict=True)]])
        blocks = [
            part for s, k in zip(padded.shape[1:], steps, strict=True) for part in (s // k, k)
        ]
        axes = tuple(range(2, 2 + 2 * len(shape), 2))
        rows.append(padded.reshape(channels, *blocks).mean(axis=axes).ravel())
    return np.asarray(rows)
