"""Tuning of a classifier inside the fold.

With a few dozen patients and a hundred correlated radiomics, columns of noise lower the score.
The learned block therefore has a weight from {0, 0.3, 1}, and a weight above 0 is used only if
inner cross-validation prefers it by more than one standard error, corrected for the overlap of
training sets (Nadeau & Bengio 2003, doi 10.1023/A:1024068626366). The rule of one standard error
is that of Breiman et al. 1984.

`GridSearchCV` is not equivalent: forests have fewer trees in the inner splits than in the final
fit, the inner held-out responses are needed for the decision threshold, and imputing and scaling
are done once per split rather than once per setting.
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

#: Inner splits of a costly classifier, of one without settings to choose from, and of Platt's
#: sigmoid: the first repeat.
_FEW_SPLITS = 5


@dataclass
class Tuned:
    """A classifier fitted on all training rows, the chosen setting and inner held-out responses."""

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
    """Choose a setting by inner cross-validation and fit it on all rows.

    Parameters
    ----------
    name : str
        The classifier.
    pipeline : Pipeline
        The untrained pipeline of `make_pipeline`.
    X, y : arrays
        Training rows and the positions of their classes.
    splits : sequence of (train, test)
        Inner splits of these rows.
    learned : bool
        Whether there is a learned block beside hand-crafted columns.
    own : bool
        Whether the classifier is the user's own, which is not tuned.
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
    # In some splits no two times can be compared.
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
    """Compute the held-out responses of one inner split at every setting.

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
    """Compute probabilities, margins or risks, whichever a model has, as columns."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    # Models of times to an event have risks as their predictions.
    rank = getattr(model, "decision_function", model.predict)
    margin = rank(X)
    return margin[:, None] if margin.ndim == 1 else margin


def prefer_base(scores: np.ndarray, weights: np.ndarray) -> int:
    """Return the position of the best setting by the rule of one corrected standard error.

    A setting with the learned block must be better than the best one without it by one standard
    error. `scores` has shape (n_splits, n_settings), `weights` are those of the learned block.
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
    """Return coefficients or importances, one per column; 0 for a block that is left out."""
    final: Any = model.named_steps["classifier"] if hasattr(model, "named_steps") else None
    if hasattr(final, "penalty_factor_"):
        # Coxnet has one column of coefficients per strength of its penalty; here there is one.
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
    """Return importances, or None; scikit-survival's forests raise when they are asked for them."""
    try:
        return getattr(model, "feature_importances_", None)
    except NotImplementedError:
        return None
