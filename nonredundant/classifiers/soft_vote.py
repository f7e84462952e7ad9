"""The mean of the probabilities of several tuned classifiers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator

from nonredundant.classifiers.late_fusion import held_probabilities
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
        The vote, with the mean of their inner held-out probabilities in the splits that all of
        them used.
    """
    frozen = [(name, FrozenEstimator(one.model)) for name, one in members.items()]
    model = VotingClassifier(frozen, voting="soft").fit(X, y)
    n = min(len(one.rows) for one in members.values())
    held = np.empty(0)
    if n:
        held = np.mean([held_probabilities(one)[:n] for one in members.values()], axis=0)
    chosen = {f"{name}: {key}": v for name, one in members.items() for key, v in one.chosen.items()}
    return Tuned(model, chosen, next(iter(members.values())).rows[:n], held)
