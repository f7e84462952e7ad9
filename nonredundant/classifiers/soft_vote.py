"""The mean of the probabilities of several tuned classifiers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator

from nonredundant.classifiers.late_fusion import held_probabilities, mean_held_out
from nonredundant.classifiers.tuning import Tuned


def soft_vote(members: Mapping[str, Tuned], X: np.ndarray, y: np.ndarray) -> Tuned:
    """Average tuned classifiers, which are not fitted again.

    Parameters
    ----------
    members : mapping of str to Tuned
        The classifiers by name.
    X, y : arrays of shape (n_train, n_features), (n_train,)
        The rows that they were fitted on, and the classes.

    Returns
    -------
    Tuned
        The vote, with the mean of their inner held-out probabilities of each row.
    """
    frozen = [(name, FrozenEstimator(one.model)) for name, one in members.items()]
    model = VotingClassifier(frozen, voting="soft").fit(X, y)
    held, rows = np.empty(0), np.empty(0, dtype=int)
    if all(len(one.rows) for one in members.values()):
        means = [
            mean_held_out(held_probabilities(one), one.rows, len(y)) for one in members.values()
        ]
        rows = np.flatnonzero(~np.isnan(means).any(axis=(0, 2)))
        held = np.mean(means, axis=0)[rows]
    chosen = {f"{name}: {key}": v for name, one in members.items() for key, v in one.chosen.items()}
    return Tuned(model, chosen, rows, held)
