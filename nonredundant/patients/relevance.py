"""Initial attention of a graph: the feature whose high lesions are most associated with the labels.

Equal weights are a saddle point of the loss: the weights of lesions and the coefficients of their
features can only be learned together. A search over single features provides a start outside it.
"""

from __future__ import annotations

import numpy as np

from nonredundant.lesions.edges import LesionEdges

#: Least association, in standard errors under independence; below it all weights start equal.
_LEAST = 3.0


def starting_relevance(
    nodes: np.ndarray,
    sample: np.ndarray,
    edges: LesionEdges,
    targets: np.ndarray,
    patients: np.ndarray,
    sharpness: float,
) -> np.ndarray:
    """Compute the initial weight of each feature in the relevance: one is 1 or -1, or all are 0.

    For each feature and each sign, lesions are weighted by the softmax of the signed feature. The
    weighted means per patient of the feature and of the distance between two lesions are
    correlated with `targets` (n_samples, n_targets) over `patients`.
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
    """Return the residuals of the targets after linear regression on the clinical variables.

    The regression is fitted to `patients`. Associations with lesions are clearer in the residuals.
    """
    known = np.column_stack([np.ones(len(targets)), clinical]).astype(np.float64)
    slopes, *_ = np.linalg.lstsq(known[patients], targets[patients], rcond=None)
    return targets - known @ slopes


def _association(statistic: np.ndarray, targets: np.ndarray) -> float:
    """Compute the largest absolute correlation of the statistic with a target."""
    x = statistic - statistic.mean()
    y = targets - targets.mean(axis=0)
    norms = np.sqrt((x**2).sum() * (y**2).sum(axis=0))
    safe = norms > 1e-12
    return float(np.abs(x @ y[:, safe] / norms[safe]).max(initial=0.0))
