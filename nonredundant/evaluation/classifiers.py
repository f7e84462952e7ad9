"""Classifiers on blocks of features, tuned inside the fold and slow to trust the learned block.

A few dozen patients and a hundred correlated radiomics leave no room for columns of noise. The
learned block therefore enters with a weight out of {0, 0.3, 1}, and one that is not 0 is taken
only if inner cross-validation prefers it by more than one standard error, corrected for the
overlap of training sets (Nadeau & Bengio 2003, doi 10.1023/A:1024068626366). The rule of one
standard error is that of Breiman et al. 1984.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from nonredundant._blocks import BlockScaler, CalibratedMargin
from nonredundant._optional import import_optional

#: Weights of the learned block that inner cross-validation chooses from.
WEIGHTS = (0.0, 0.3, 1.0)
NAMES = ("LR", "SVM", "RF")
#: What stands in for them where the outcome is a time to an event.
SURVIVAL_NAMES = ("Cox", "RSF")
FORESTS = ("RF", "RSF")
_OWN = "classifier__"
#: A forest is dear: it does without repeats of the inner splits, and with fewer trees in them.
_FEW_SPLITS = 5
_TREES, _INNER_TREES = 200, 60


def resolve_classifiers(classifiers: Any, names: Sequence[str] = NAMES) -> dict[str, Any]:
    """Return name → None (one of ours, `names`, tuned) or the user's own estimator.

    Raises
    ------
    ValueError
        If a name is unknown or twice there.
    TypeError
        If an entry is neither a name nor a classifier.
    """
    if isinstance(classifiers, str) or hasattr(classifiers, "fit"):
        classifiers = [classifiers]
    if isinstance(classifiers, Mapping):
        classifiers = [*classifiers.items()]
    found: dict[str, Any] = {}
    for entry in classifiers:
        pair = isinstance(entry, tuple)
        name, estimator = entry if pair else (entry, None)
        if not pair and not isinstance(entry, str):
            name, estimator = type(entry).__name__, entry
        if estimator is None and name not in names:
            raise ValueError(f"unknown classifier {name!r}: choose from {names} or pass one")
        if estimator is not None and not (hasattr(estimator, "fit") and not callable(estimator)):
            raise TypeError(f"classifier {name!r} must be an estimator, got {estimator!r}")
        if name in found:
            raise ValueError(f"two classifiers are named {name!r}: pass a dict of unique names")
        found[name] = estimator
    if not found:
        raise ValueError(f"classifiers is empty: choose from {names} or pass an estimator")
    return found


def make_sampler(sampler: Any, seed: int, smallest: int = 6) -> Any:
    """Return an imbalanced-learn sampler from its name or a clone of one, seeded.

    `smallest` is the size of the rarest class that it will meet, among whose members SMOTE looks
    for neighbours.
    """
    if sampler is None:
        return None
    if isinstance(sampler, str):
        from imblearn.over_sampling import SMOTE, RandomOverSampler
        from imblearn.under_sampling import RandomUnderSampler

        known = {"smote": SMOTE, "over": RandomOverSampler, "under": RandomUnderSampler}
        if sampler.lower() not in known:
            raise ValueError(f"unknown sampler {sampler!r}: choose from {tuple(known)}")
        sampler = known[sampler.lower()]()
        if isinstance(sampler, SMOTE):
            sampler.set_params(k_neighbors=max(1, min(5, smallest - 1)))
    sampler = clone(sampler)
    if "random_state" in sampler.get_params():
        sampler.set_params(random_state=seed)
    return sampler


def make_pipeline(
    name: str,
    estimator: Any,
    n_base: int,
    *,
    class_weight: Any = None,
    sampler: Any = None,
    seed: int = 0,
    smallest: int = 6,
) -> Any:
    """Return imputer, block scaler, sampler and classifier as one untrained pipeline."""
    from imblearn.pipeline import Pipeline
    from sklearn.impute import SimpleImputer

    final = _builtin(name) if estimator is None else clone(estimator)
    settings = {"random_state": seed, "class_weight": class_weight}
    known = final.get_params()
    # A user's estimator keeps what it was given.
    unset = {k: v for k, v in settings.items() if k in known and known[k] is None}
    final.set_params(**unset)
    steps = [
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("blocks", BlockScaler(n_base)),
        ("sampler", make_sampler(sampler, seed, smallest)),
        ("classifier", final),
    ]
    return Pipeline([step for step in steps if step[1] is not None])


def _builtin(name: str) -> Any:
    """Return one of our classifiers, before tuning."""
    if name == "LR":
        from sklearn.linear_model import LogisticRegression

        # Some hundred columns at most: a few Newton steps are faster than many cheap ones.
        return LogisticRegression(C=0.1, solver="newton-cholesky", max_iter=200)
    if name == "SVM":
        from sklearn.svm import SVC

        return SVC(C=1.0)
    if name in SURVIVAL_NAMES:
        return _builtin_survival(name)
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(_TREES, min_samples_leaf=3)


def _builtin_survival(name: str) -> Any:
    """Return one of our models of times to an event, before tuning."""
    purpose = f"the classifier {name!r}"
    if name == "Cox":
        linear = import_optional("sksurv.linear_model", extra="survival", purpose=purpose)
        # All but a ridge: coordinates by turns are twenty times faster than Newton's steps.
        return linear.CoxnetSurvivalAnalysis(alphas=[0.1], l1_ratio=1e-3)
    ensemble = import_optional("sksurv.ensemble", extra="survival", purpose=purpose)
    # Risks alone are asked for; whole survival functions would be kept in every leaf.
    return ensemble.RandomSurvivalForest(_TREES, min_samples_leaf=6, low_memory=True)


def grid_of(name: str, *, learned: bool) -> list[dict[str, Any]]:
    """Return the settings that inner cross-validation chooses from."""
    strengths: dict[str, tuple[str, tuple[Any, ...]]] = {
        "LR": ("C", (0.01, 0.1, 1.0)),
        "SVM": ("C", (0.1, 1.0, 10.0)),
        "Cox": ("alphas", ([1.0], [0.1], [0.01])),
    }
    parameter, costs = strengths.get(name, ("C", (None,)))
    weights = ((0.0, 1.0) if name in FORESTS else WEIGHTS) if learned else (None,)
    points = [{"blocks__weight": w, _OWN + parameter: c} for w in weights for c in costs]
    return [{k: v for k, v in point.items() if v is not None} for point in points]


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
    splits = list(splits[:_FEW_SPLITS] if name in FORESTS or len(grid) == 1 else splits)
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
    if name == "SVM" and not own and splits:
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
        own = {k.removeprefix(_OWN): v for k, v in point.items() if k.startswith(_OWN)}
        model.set_params(**own)
        if name in FORESTS and "n_estimators" in model.get_params():
            model.set_params(n_estimators=min(_INNER_TREES, model.n_estimators))
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
