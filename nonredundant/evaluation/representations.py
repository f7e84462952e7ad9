"""What is learned of the patches in a fold: network latents, their residuals, or components."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from nonredundant._feature_sets import Variant, pool_samples
from nonredundant._folds import Fold
from nonredundant._hcr import FeatureScaler
from nonredundant._threads import one_thread, recorded_warnings
from nonredundant.lesions import LesionTable

#: Patches are averaged down to at most so many voxels a side before their components are taken.
_PCA_SIDE = 16
#: Components of h whose squares and products enter the residualising regression.
_RESIDUAL_COMPONENTS = 20


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


class PatchPCA(TransformerMixin, BaseEstimator):
    """Principal components of the masked patches: what a network must beat.

    Parameters
    ----------
    n_components : int, default=16
        Number of components; fewer where there are fewer samples.
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

    def fit(self, X: LesionTable, y: Any = None) -> PatchPCA:
        """Learn the components.

        Parameters
        ----------
        X : LesionTable
            Lesions with patches.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.
        """
        from sklearn.decomposition import PCA

        values = flat_patches(X)
        n_components = min(self.n_components, *values.shape)
        self.pca_ = PCA(n_components, svd_solver="randomized", random_state=self.random_state)
        self.pca_.fit(values)
        return self

    def transform(self, X: LesionTable) -> np.ndarray:
        """Return the components' scores.

        Parameters
        ----------
        X : LesionTable
            Lesions with patches.

        Returns
        -------
        array of shape (n_lesions, n_components)
            The scores.
        """
        check_is_fitted(self, "pca_")
        return self.pca_.transform(flat_patches(X)).astype(float)


class Residualiser(BaseEstimator):
    """Subtract from d what a degree-2 ridge regression on h predicts of it.

    The cheap way to non-redundant features, after training instead of during it. The ridge's
    weight is chosen by leave-one-out on the training rows.

    Parameters
    ----------
    n_components : int, default=20
        Principal components of the ranked h that the regression sees.

    Attributes
    ----------
    scaler_ : FeatureScaler
        What makes components of h.
    ridge_ : RidgeCV
        The regression, or None without h.
    """

    def __init__(self, n_components: int = _RESIDUAL_COMPONENTS) -> None:
        self.n_components = n_components

    def fit(self, h: pd.DataFrame, d: np.ndarray) -> Residualiser:
        """Learn the regression of d on h.

        Parameters
        ----------
        h : DataFrame of shape (n_samples, n_h)
            Hand-crafted features of the training rows.
        d : array of shape (n_samples, n_d)
            Latents of the same rows.

        Returns
        -------
        self
            The fitted regression.
        """
        from sklearn.linear_model import RidgeCV

        self.scaler_ = FeatureScaler(self.n_components).fit(h)
        self.ridge_ = None
        if self.scaler_.columns_:
            # Leave-one-out in closed form needs one alpha for all latents.
            alphas = np.logspace(-1, 5, 13)
            self.ridge_ = RidgeCV(alphas).fit(self._expand(h), d)
        return self

    def transform(self, h: pd.DataFrame, d: np.ndarray) -> np.ndarray:
        """Return the residuals.

        Parameters
        ----------
        h : DataFrame of shape (n_samples, n_h)
            Hand-crafted features.
        d : array of shape (n_samples, n_d)
            Latents.

        Returns
        -------
        array of shape (n_samples, n_d)
            What h does not tell of d.
        """
        check_is_fitted(self, "scaler_")
        return d if self.ridge_ is None else d - self.ridge_.predict(self._expand(h))

    def _expand(self, h: pd.DataFrame) -> np.ndarray:
        """Return the components, their squares and products."""
        z = self.scaler_.transform(h)
        i, j = np.triu_indices(z.shape[1])
        return np.hstack([z, z[:, i] * z[:, j]])


def flat_patches(table: LesionTable) -> np.ndarray:
    """Return the masked patches, averaged down to at most 16 voxels a side, one row a lesion."""
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
