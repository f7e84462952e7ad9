"""Projections of the latent space: principal components and linear discriminants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold

from nonredundant.displays import style as look
from nonredundant.models.latents import latent_frame
from nonredundant.utils.close_names import suggest_names

#: Numeric columns with more distinct values than this are drawn on a colour scale.
_MAX_CATEGORIES = 7


class LatentSpaceDisplay:
    """Samples projected on principal components and on linear discriminants of the latents.

    Parameters
    ----------
    pca : array of shape (n_samples, 2)
        Principal components.
    explained : array of shape (2,)
        Share of the latents' variance per component.
    colour_by : array of shape (n_samples,)
        Category or number of each sample.
    lda : array of shape (n_samples, 1 or 2), optional
        Linear discriminants of each sample, by a fit without it.
    y : array of shape (n_samples,), optional
        The classes of the discriminants.
    colour_name : str
        Name of `colour_by`.
    title : str
        Description of the samples.

    Attributes
    ----------
    ax_ : Axes
        The axes in whose place the panels are drawn.
    axes_ : array of Axes
        The components, then the discriminants if there are any.
    figure_ : Figure
        The figure.

    Notes
    -----
    Discriminants that are fitted and drawn on the same samples separate the classes even in
    noise. Here each sample is projected by a fit, with shrinkage, on the other folds of five; the
    planes of the folds are aligned by a rotation of their class means.

    Examples
    --------
    >>> import numpy as np
    >>> from nonredundant.displays import LatentSpaceDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["benign", "malignant"], 20)
    >>> display = LatentSpaceDisplay.from_latents(rng.normal(size=(40, 4)), y)
    >>> display.pca.shape, display.lda.shape
    ((40, 2), (40, 1))
    """

    def __init__(
        self,
        *,
        pca: Any,
        explained: Any,
        colour_by: Any,
        lda: Any = None,
        y: Any = None,
        colour_name: str = "class",
        title: str = "",
    ) -> None:
        self.pca, self.explained = np.asarray(pca), np.asarray(explained)
        self.colour_by, self.colour_name = np.asarray(colour_by), colour_name
        self.lda = None if lda is None else np.asarray(lda)
        self.y = None if y is None else np.asarray(y)
        self.title = title

    @classmethod
    def from_latents(
        cls,
        latents: Any,
        y: Any = None,
        *,
        colour_by: Any = None,
        colour_name: str | None = None,
        title: str = "",
        ax: Any = None,
    ) -> LatentSpaceDisplay:
        """Draw latents.

        Parameters
        ----------
        latents : array of shape (n_samples, n_latents)
            Learned features.
        y : array-like of shape (n_samples,), optional
            Classes; without them no discriminants are drawn.
        colour_by : array-like of shape (n_samples,), optional
            Category or number that sets the colour; the class by default.
        colour_name : str, optional
            Name of `colour_by`.
        title : str, default=""
            Description of the samples.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        LatentSpaceDisplay
            The display, drawn.
        """
        latents = np.asarray(latents, dtype=float)
        standardised = (latents - latents.mean(axis=0)) / _spread(latents)
        model = PCA(min(2, *latents.shape), svd_solver="full").fit(standardised)
        pca, explained = np.zeros((len(latents), 2)), np.zeros(2)
        pca[:, : model.n_components_] = model.transform(standardised)
        explained[: model.n_components_] = model.explained_variance_ratio_
        y = None if y is None else np.asarray(y)
        name = colour_name or getattr(colour_by, "name", None) or "class"
        if colour_by is None:
            colour_by = np.full(len(latents), "samples") if y is None else y
        display = cls(
            pca=pca,
            explained=explained,
            colour_by=colour_by,
            lda=None if y is None else _held_out_discriminants(standardised, y),
            y=y,
            colour_name=str(name),
            title=title,
        )
        return display.plot(ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, colour_by: Any = None, ax: Any = None
    ) -> LatentSpaceDisplay:
        """Draw the latents of lesions.

        Parameters
        ----------
        estimator : NonRedundantCVAE or another estimator with latents
            Fitted.
        X : LesionTable
            Lesions; preferably not those of the training set.
        y : array-like of shape (n_samples,), optional
            Classes of the samples; without them no discriminants are drawn.
        colour_by : str or array-like of shape (n_samples,), optional
            Feature of X, by name, or values that set the colour; the class by default.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        LatentSpaceDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator returns no latents (`output="hcr"`), or X lacks the column.
        """
        latents = latent_frame(estimator, X)
        name = None
        if isinstance(colour_by, str):
            name = colour_by
            if name not in X.features:
                raise ValueError(
                    f"X has no column {name!r}; it has {list(X.features)[:10]}, …"
                    f"{suggest_names([name], X.features)}"
                )
            colour_by = X.features[name].to_numpy()
        y, colour_by = (_by_lesion(values, X) for values in (y, colour_by))
        return cls.from_latents(latents, y, colour_by=colour_by, colour_name=name, ax=ax)

    @classmethod
    def from_comparison(
        cls, comparison: Any, *, feature_set: str | None = None, fold: int = 0, ax: Any = None
    ) -> LatentSpaceDisplay:
        """Draw the held-out samples of one fold of a comparison.

        Each fold has its own network, so that latents of different folds cannot be drawn together.

        Parameters
        ----------
        comparison : FeatureSetComparison
            Result of `compare_feature_sets`.
        feature_set : str, optional
            A learned block; by default that of the primary comparison, otherwise the first.
        fold : int, default=0
            The fold whose held-out samples are drawn.
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        LatentSpaceDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the comparison lacks the block or the fold.
        """
        blocks = comparison.latents
        if not blocks:
            raise ValueError("no latents to draw: the comparison trained no network")
        if feature_set is None:
            primary = comparison.primary["feature_set"].rpartition("+")[2]
            feature_set = primary if primary in blocks else next(iter(blocks))
        if feature_set not in blocks:
            raise ValueError(f"no latents of {feature_set!r}; choose from {list(blocks)}")
        own = look.pick(blocks[feature_set], fold=fold).drop(columns="fold")
        labels = comparison.cv_predictions.drop_duplicates("sample").set_index("sample")["y"]
        title = f"{feature_set}, held-out samples of fold {fold}"
        return cls.from_latents(own, labels.loc[own.index].to_numpy(), title=title, ax=ax)

    def plot(self, ax: Any = None) -> LatentSpaceDisplay:
        """Draw components and discriminants in place of an axes.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on; a new figure by default.

        Returns
        -------
        self
            With `ax_`, `axes_` and `figure_`.
        """
        n = 1 if self.lda is None else 2
        self.ax_, grid = look.panels(ax, 1, n, (4.4 * n, 3.8))
        self.axes_, self.figure_ = grid.ravel(), self.ax_.figure
        first = self.axes_[0]
        drawn = self._scatter(first, self.pca[:, 0], self.pca[:, 1])
        shares = [f"principal component {i + 1} ({e:.0%})" for i, e in enumerate(self.explained)]
        first.set(xlabel=shares[0], ylabel=shares[1])
        if self.lda is not None:
            self._plot_discriminants(self.axes_[1], self.lda)
        if drawn is not None:
            first.set_title(self.title, fontsize=look.TITLE, loc="left")
            self.figure_.colorbar(drawn, ax=list(self.axes_), label=self.colour_name)
        elif len(pd.unique(self.colour_by)) > 1:
            look.legend_above(first, first.get_legend_handles_labels()[0], 3, self.title)
        return self

    def _plot_discriminants(self, ax: Any, lda: np.ndarray) -> None:
        """Draw the discriminants; a single one with one row per class."""
        if lda.shape[1] > 1:
            self._scatter(ax, lda[:, 0], lda[:, 1])
            ax.set(xlabel="held-out discriminant 1", ylabel="held-out discriminant 2")
            return
        classes, row = np.unique(np.asarray(self.y), return_inverse=True)
        spread = np.empty(len(row))
        for k in range(len(classes)):
            own = np.flatnonzero(row == k)
            # Golden-ratio steps spread the points evenly and are the same in every run.
            spread[own] = (np.arange(len(own)) * 0.618034) % 1 - 0.5
        self._scatter(ax, lda[:, 0], row + 0.6 * spread)
        look.name_rows(ax, [str(label) for label in classes])
        ax.set(xlabel="held-out discriminant", ylabel="class")

    def _scatter(self, ax: Any, x: np.ndarray, y: np.ndarray) -> Any:
        """Draw the samples; return the artist for a colour bar if colours are a scale."""
        look.despine(ax)
        values = self.colour_by
        categories = pd.unique(values[~pd.isna(values)])
        if np.issubdtype(values.dtype, np.number) and len(categories) > _MAX_CATEGORIES:
            return ax.scatter(
                x, y, c=values, cmap=look.SEQUENTIAL, s=18, edgecolor="0.3", linewidth=0.3
            )
        categories = np.sort(categories)
        for label, style in zip(categories, look.styles(len(categories)), strict=True):
            own = values == label
            ax.scatter(
                x[own],
                y[own],
                s=18,
                color=style.colour,
                marker=style.marker,
                alpha=0.8,
                linewidth=0,
                label=f"{self.colour_name} {label}",
            )
        return None


def _by_lesion(values: Any, X: Any) -> Any:
    """Repeat the value of each sample for its lesions."""
    if values is None or len(values) == len(X.features):
        return values
    return np.asarray(values)[X.sample]


def _spread(values: np.ndarray) -> np.ndarray:
    """Compute standard deviations; 1 for constants."""
    spread = values.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def _held_out_discriminants(latents: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Compute discriminants of each sample by a fit without it; None if a class is too small."""
    classes, counts = np.unique(y, return_counts=True)
    n_splits = min(5, counts.min())
    if len(classes) < 2 or n_splits < 2:
        return None

    def fit(rows: np.ndarray) -> Any:
        return LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(
            latents[rows], y[rows]
        )

    whole = fit(np.arange(len(y)))
    n_axes = min(2, len(classes) - 1, latents.shape[1])
    target = whole.transform(whole.means_)[:, :n_axes]
    found = np.empty((len(y), n_axes))
    for train, test in StratifiedKFold(n_splits, shuffle=True, random_state=0).split(latents, y):
        model = fit(train)
        means = model.transform(model.means_)[:, :n_axes]
        u, _, v = np.linalg.svd(means.T @ target)
        found[test] = model.transform(latents[test])[:, :n_axes] @ (u @ v)
    return found
