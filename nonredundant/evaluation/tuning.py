"""Tuning of a classifier inside the fold.

A few dozen patients and a hundred correlated radiomics leave no room for columns of noise. The
learned block therefore enters with a weight out of {0, 0.3, 1}, and one that is not 0 is taken
only if inner cross-validation prefers it by more than one standard error, corrected for the
overlap of training sets (Nadeau & Bengio 2003, doi 10.1023/A:1024068626366). The rule of one
standard error is that of Breiman et al. 1984.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from nonredundant.evaluation.classifiers import (
    INNER_TREES,
    OWN,
    CalibratedMargin,
    grid_of,
    is_costly,
    needs_calibration,
)

#: A forest is dear: it does without repeats of the inner splits, and with fewer trees in them.
_FEW_SPLITS = 5


@dataclass
class Tuned:
    """A classifier fitted on all training rows, what was chosen, and inner held-out responses."""

    model: Any
    chosen: dict[str, Any]
    rows: np.ndarray
    responses: np.ndarray


def tune(
    name: str,
    pipeline: Any,
    X: np.ndarray,
    y: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    learned: bool,
    own: bool,
    metric: Callable[[np.ndarray, np.ndarray], float],
) -> Tuned:
    """Fit on all rows at the setting that inner splits prefer.

    Parameters
    ----------
    name : str
        The classifier.
    pipeline : Pipeline
        Of `make_pipeline`.
    X, y : arrays
        Training rows and the positions of their classes.
    splits : sequence of (train, test)
        Inner splits of these rows.
    learned : bool
        Whether there is a learned block beside hand-crafted columns.
    own : bool
        Whether the classifier is the user's, which is not tuned.
    metric : callable
        Score of (labels, responses), higher is better.

    Returns
    -------
    Tuned
        The fitted classifier.
    """
    grid = [{}] if own else grid_of(name, learned=learned)
    splits = list(splits[:_FEW_SPLITS] if is_costly(name) or len(grid) == 1 else splits)
    responses = [_responses(pipeline, X, y, split, grid, name) for split in splits]
    scores = np.array(
        [
            [metric(y[test], response) for response in row]
            for (_, test), row in zip(splits, responses, strict=True)
        ]
    )
    weights = np.array([point.get("blocks__weight", 1.0) for point in grid])
    # A split may hold no two patients whose times can be compared.
    scores = scores[np.isfinite(scores).all(axis=1)] if len(splits) else scores
    best = prefer_base(scores, weights) if len(scores) else 0
    model = clone(pipeline).set_params(**grid[best])
    if needs_calibration(name) and not own and splits:
        model = CalibratedMargin(model, splits[:_FEW_SPLITS])
    rows = np.concatenate([test for _, test in splits]) if splits else np.empty(0, dtype=int)
    held = [row[best] for row in responses]
    return Tuned(model.fit(X, y), grid[best], rows, np.concatenate(held) if held else rows)


def _responses(
    pipeline: Any,
    X: np.ndarray,
    y: np.ndarray,
    split: tuple[np.ndarray, np.ndarray],
    grid: Sequence[dict[str, Any]],
    name: str,
) -> list[np.ndarray]:
    """Return the held-out responses of one inner split at every setting.

    Imputing and scaling do not depend on the setting and are done once.
    """
    train, test = split
    steps = pipeline.named_steps
    imputer = clone(steps["impute"]).fit(X[train])
    scaler = clone(steps["blocks"]).fit(imputer.transform(X[train]))
    seen, held = imputer.transform(X[train]), imputer.transform(X[test])
    found = []
    for point in grid:
        scaler.weight = point.get("blocks__weight", 1.0)
        rows, labels = scaler.transform(seen), y[train]
        if "sampler" in steps:
            rows, labels = clone(steps["sampler"]).fit_resample(rows, labels)
        model = clone(steps["classifier"])
        own = {k.removeprefix(OWN): v for k, v in point.items() if k.startswith(OWN)}
        model.set_params(**own)
        if is_costly(name) and "n_estimators" in model.get_params():
            model.set_params(n_estimators=min(INNER_TREES, model.n_estimators))
        found.append(respond(model.fit(rows, labels), scaler.transform(held)))
    return found


def respond(model: Any, X: Any) -> np.ndarray:
    """Return probabilities, or margins of a classifier that has none, as columns."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    # Models of times to an event predict a risk.
    rank = getattr(model, "decision_function", model.predict)
    margin = rank(X)
    return margin[:, None] if margin.ndim == 1 else margin


def prefer_base(scores: np.ndarray, weights: np.ndarray) -> int:
    """Return the setting to use: a learned block must win by one corrected standard error.

    `scores` are those of (inner split, setting), `weights` those of the learned block.
    """
    mean = scores.mean(axis=0)
    used = weights > 0
    if used.all() or not used.any():
        return int(mean.argmax())
    base = int(np.where(used, -np.inf, mean).argmax())
    best = int(np.where(used, mean, -np.inf).argmax())
    difference = scores[:, best] - scores[:, base]
    n = len(difference)
    # Inner splits are 5-fold: n_test / n_train = 1 / 4.
    error = difference.std(ddof=1) * np.sqrt(1 / n + 1 / 4) if n > 1 else np.inf
    return best if difference.mean() > error else base


def weights_of(model: Any, n_features: int) -> np.ndarray | None:
    """Return one weight a column: coefficients or importances; 0 for a block left out."""
    final: Any = model.named_steps["classifier"] if hasattr(model, "named_steps") else None
    if hasattr(final, "penalty_factor_"):
        # Coxnet has a column for each strength of its penalty; here there is one.
        values = final.coef_[:, -1]
    elif hasattr(final, "coef_"):
        coefficients = np.atleast_2d(final.coef_)
        values = coefficients[0] if len(coefficients) == 1 else np.abs(coefficients).mean(axis=0)
    else:
        values = _importances(final)
    if values is None:
        return None
    return np.pad(values, (0, n_features - len(values)))


def _importances(model: Any) -> np.ndarray | None:
    """Return importances; scikit-survival's forests have no more than the attribute's name."""
    try:
        return getattr(model, "feature_importances_", None)
    except NotImplementedError:
        return None
