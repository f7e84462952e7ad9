"""Arrays of a loaded model that compiled code reads without a check of its own.

An index out of range in a tree, in a support vector machine or among neighbours makes scikit-learn
read beyond its memory. Files are therefore checked for them before a model predicts.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def check_compiled(estimator: Any) -> None:
    """Raise if a part of a model would read beyond its arrays.

    Parameters
    ----------
    estimator : object
        An estimator of any kind; its parts are not looked at.

    Raises
    ------
    ValueError
        If its trees, support vectors or neighbours contradict each other.
    """
    attributes = vars(estimator)
    if "tree_" in attributes:
        _check_tree(attributes["tree_"], attributes.get("n_features_in_"), estimator)
    if "estimators_" in attributes:
        for one in np.ravel(np.asarray(attributes["estimators_"], dtype=object)):
            if hasattr(one, "tree_") and one.n_features_in_ != attributes.get("n_features_in_"):
                raise _damaged(estimator, "its trees have other numbers of columns than itself")
    if "n_trees_per_iteration_" in attributes:
        _check_boosting(attributes, estimator)
    if "_n_support" in attributes:
        _check_support(attributes, estimator)
    if "_fit_X" in attributes:
        _check_neighbours(attributes, estimator)


def _check_tree(tree: Any, n_features: Any, owner: Any) -> None:
    """Raise if a node of a tree leads out of it, or compares a column that there is not."""
    kind = type(tree)
    if (kind.__module__, kind.__name__) != ("sklearn.tree._tree", "Tree"):
        raise _damaged(owner, f"its tree is a {kind.__name__}")
    if tree.node_count < 1 or tree.n_features != n_features:
        raise _damaged(owner, f"a tree has {tree.n_features} columns, its model {n_features}")
    here = np.arange(tree.node_count)
    inner = tree.children_left != -1
    for children in (tree.children_left[inner], tree.children_right[inner]):
        if ((children <= here[inner]) | (children >= tree.node_count)).any():
            raise _damaged(owner, "a node leads out of its tree")
    compared = tree.feature[inner]
    if ((compared < 0) | (compared >= tree.n_features)).any():
        raise _damaged(owner, f"a node compares a column beyond the {tree.n_features} of its tree")


def _check_boosting(attributes: dict[str, Any], owner: Any) -> None:
    """Raise if the stages of gradient boosting have other numbers of trees than scores."""
    n_classes = len(attributes["classes_"])
    n_scores = 1 if n_classes == 2 else n_classes
    trees = np.asarray(attributes["estimators_"], dtype=object)
    first = attributes["init_"]
    fits = (
        trees.ndim == 2
        and trees.shape[1] == attributes["n_trees_per_iteration_"] == n_scores
        and all(hasattr(one, "tree_") for one in trees.ravel())
        and len(first.classes_) == len(first.class_prior_) == n_classes
    )
    if not fits:
        raise _damaged(owner, "the numbers of its trees and classes contradict each other")


def _check_neighbours(attributes: dict[str, Any], owner: Any) -> None:
    """Raise if the rows and labels of nearest neighbours differ in number, or name no class."""
    rows, labels = np.asarray(attributes["_fit_X"]), np.asarray(attributes["_y"])
    fits = (
        np.shape(rows) == (attributes["n_samples_fit_"], attributes.get("n_features_in_"))
        and labels.shape == (len(rows),)
        and labels.dtype.kind in "iu"
        and ((labels >= 0) & (labels < len(attributes["classes_"]))).all()
    )
    if not fits:
        raise _damaged(owner, "the numbers of its neighbours contradict each other")


def _check_support(attributes: dict[str, Any], owner: Any) -> None:
    """Raise if the arrays of a support vector machine differ in length."""
    counts = np.asarray(attributes["_n_support"])
    n_classes = len(counts)
    n_pairs = n_classes * (n_classes - 1) // 2
    rows = np.asarray(attributes["support_"])
    n_vectors, n_rows = len(rows), attributes["shape_fit_"][0]
    vectors = attributes["support_vectors_"]
    probabilities = {np.size(attributes.get(name, ())) for name in ("_probA", "_probB")}
    fits = (
        (counts >= 0).all()
        and counts.sum() == n_vectors
        and ((rows >= 0) & (rows < n_rows)).all()
        and np.shape(vectors) == (n_vectors, attributes.get("n_features_in_"))
        and np.shape(attributes["_dual_coef_"]) == (n_classes - 1, n_vectors)
        and np.shape(attributes["_intercept_"]) == (n_pairs,)
        and probabilities <= {0, n_pairs}
    )
    if not fits:
        raise _damaged(owner, "the numbers of its support vectors contradict each other")


def _damaged(owner: Any, what: str) -> ValueError:
    """Return the error of a part."""
    return ValueError(f"{type(owner).__name__} is damaged: {what}")
