"""Nearest neighbours where there may be fewer samples than neighbours."""

from __future__ import annotations

from typing import Any

from sklearn.neighbors import KNeighborsClassifier


class NearestNeighbours(KNeighborsClassifier):
    """scikit-learn's nearest neighbours, all of them where the training rows are fewer.

    An inner split of a small cohort may have fewer rows than the most neighbours that are tried.
    Neighbours must be weighed, by `weights="distance"` or a function: plain votes are counted
    without `kneighbors`.

    Parameters
    ----------
    **parameters
        As those of `sklearn.neighbors.KNeighborsClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.arange(4.0)[:, None], [0, 0, 1, 1]
    >>> model = NearestNeighbours(n_neighbors=25, weights="distance").fit(x, y)
    >>> model.predict([[0.1], [2.9]]).tolist()
    [0, 1]
    """

    def kneighbors(
        self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        """Find the nearest training rows.

        Parameters
        ----------
        X : array of shape (n_queries, n_features), optional
            Rows; None: the training rows, none of which is its own neighbour.
        n_neighbors : int, optional
            How many; None: as many as the parameter says and there are.
        return_distance : bool, default=True
            Whether to return the distances, too.

        Returns
        -------
        distances, positions : arrays of shape (n_queries, n_neighbors)
            Of the neighbours, the nearest first; positions alone without distances.
        """
        if n_neighbors is None:
            n_neighbors = min(self.n_neighbors, self.n_samples_fit_ - (X is None))
        return super().kneighbors(X, n_neighbors, return_distance)
