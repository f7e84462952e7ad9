"""Where a graph's attention starts: at the feature whose hot lesions tell the labels best.

From even weights, attention is a saddle: which lesions matter cannot be learned before what
they say, nor the other way round. One look at each feature leaves it.
"""

from __future__ import annotations

import numpy as np

from nonredundant.lesions.edges import LesionEdges

#: An association below so many standard errors of chance gives no start: weights stay even.
_LEAST = 3.0


def starting_relevance(
    nodes: np.ndarray,
    sample: np.ndarray,
    edges: LesionEdges,
    targets: np.ndarray,
    patients: np.ndarray,
    sharpness: float,
) -> np.ndarray:
    """Return the weight of each feature in the relevance: one of them 1 or -1, or all zero.

    For each feature, both ways round, lesions weigh by the softmax of it. The patient's mean of
    the feature and of the distance between two lesions under these weights are correlated with
    `targets` (n_samples, n_targets), over `patients`.
    """
    n_samples = len(targets)
    start = np.searchsorted(sample, np.arange(n_samples))
    apart = edges.source != edges.target
    source, target = edges.source[apart], edges.target[apart]
    length = edges.distance[apart].astype(np.float64)
    whose = sample[target]
    linked = np.bincount(whose, minlength=n_samples) > 0
    linked = linked[patients]
    best, weights = _LEAST / np.sqrt(max(len(patients), 1)), np.zeros(nodes.shape[1])
    for feature in range(nodes.shape[1]):
        values = nodes[:, feature].astype(np.float64)
        for sign in (1.0, -1.0):
            heat = np.exp(sharpness * (sign * values - np.max(sign * values)))
            heat = np.maximum(heat, 1e-30)
            mean = np.add.reduceat(heat * values, start) / np.add.reduceat(heat, start)
            found = _association(mean[patients], targets[patients])
            if linked.sum() > 2:
                mass = heat[source] * heat[target]
                total = np.bincount(whose, mass, minlength=n_samples)[patients][linked]
                far = np.bincount(whose, mass * length, minlength=n_samples)[patients][linked]
                found = max(found, _association(far / total, targets[patients][linked]))
            if found > best:
                best, weights = found, np.zeros(nodes.shape[1])
                weights[feature] = sign
    return weights


def unexplained(targets: np.ndarray, clinical: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Return what of the targets no line through the clinical variables of `patients` explains.

    What lesions tell stands out better once what the clinic tells is gone.
    """
    known = np.column_stack([np.ones(len(targets)), clinical]).astype(np.float64)
    slopes, *_ = np.linalg.lstsq(known[patients], targets[patients], rcond=None)
    return targets - known @ slopes


def _association(statistic: np.ndarray, targets: np.ndarray) -> float:
    """Return the largest absolute correlation of the statistic with a target."""
    x = statistic - statistic.mean()
    y = targets - targets.mean(axis=0)
    norms = np.sqrt((x**2).sum() * (y**2).sum(axis=0))
    safe = norms > 1e-12
    return float(np.abs(x @ y[:, safe] / norms[safe]).max(initial=0.0))
