"""The classifiers by name: pipelines, grids and samplers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from nonredundant.evaluation.blocks import BlockScaler
from nonredundant.utils.optional import import_optional


class CalibratedMargin(ClassifierMixin, BaseEstimator):
    """A margin classifier with probabilities by Platt's sigmoid on inner held-out margins.

    Ranking uses the margin itself, so that the sigmoid cannot change an AUC.

    Parameters
    ----------
    estimator : classifier with `decision_function`
        What is fitted on all training rows.
    cv : sequence of (train, test)
        Splits of the training rows that the sigmoid is learned on.

    Attributes
    ----------
    margin_ : classifier
        Fitted on all training rows.
    sigmoid_ : CalibratedClassifierCV
        Gives the probabilities.
    classes_ : array
        The classes.
    """

    def __init__(self, estimator: Any, cv: Any = 5) -> None:
        self.estimator = estimator
        self.cv = cv

    def fit(self, X: Any, y: Any) -> CalibratedMargin:
        """Fit margin and sigmoid.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Training rows.
        y : array of shape (n_samples,)
            Labels.

        Returns
        -------
        self
            The fitted classifier.
        """
        from sklearn.calibration import CalibratedClassifierCV

        self.sigmoid_ = CalibratedClassifierCV(
            clone(self.estimator), method="sigmoid", cv=self.cv, ensemble=False
        ).fit(X, y)
        # With `ensemble=False` the one inner estimator is fitted on all rows.
        self.margin_ = self.sigmoid_.calibrated_classifiers_[0].estimator
        self.classes_ = self.sigmoid_.classes_
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the margins.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
            The margins.
        """
        return self.margin_.decision_function(X)

    def probability(self, margin: np.ndarray) -> np.ndarray:
        """Return the second class's probability at given margins, for two classes.

        Parameters
        ----------
        margin : array of shape (n_samples,)
            Values of `decision_function`.

        Returns
        -------
        array of shape (n_samples,)
            The sigmoid at these margins.
        """
        return self.sigmoid_.calibrated_classifiers_[0].calibrators[0].predict(margin)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the calibrated probabilities.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples, n_classes)
            The probabilities.
        """
        return self.sigmoid_.predict_proba(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples,)
            The classes.
        """
        return self.sigmoid_.predict(X)


#: Weights of the learned block that inner cross-validation chooses from.
WEIGHTS = (0.0, 0.3, 1.0)
NAMES = ("LR", "SVM", "RF")
#: What stands in for them where the outcome is a time to an event.
SURVIVAL_NAMES = ("Cox", "RSF")
FORESTS = ("RF", "RSF")
OWN = "classifier__"
TREES, INNER_TREES = 200, 60


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

    return RandomForestClassifier(TREES, min_samples_leaf=3)


def _builtin_survival(name: str) -> Any:
    """Return one of our models of times to an event, before tuning."""
    purpose = f"the classifier {name!r}"
    if name == "Cox":
        linear = import_optional("sksurv.linear_model", extra="survival", purpose=purpose)
        # All but a ridge: coordinates by turns are twenty times faster than Newton's steps.
        return linear.CoxnetSurvivalAnalysis(alphas=[0.1], l1_ratio=1e-3)
    ensemble = import_optional("sksurv.ensemble", extra="survival", purpose=purpose)
    # Risks alone are asked for; whole survival functions would be kept in every leaf.
    return ensemble.RandomSurvivalForest(TREES, min_samples_leaf=6, low_memory=True)


def grid_of(name: str, *, learned: bool) -> list[dict[str, Any]]:
    """Return the settings that inner cross-validation chooses from."""
    strengths: dict[str, tuple[str, tuple[Any, ...]]] = {
        "LR": ("C", (0.01, 0.1, 1.0)),
        "SVM": ("C", (0.1, 1.0, 10.0)),
        "Cox": ("alphas", ([1.0], [0.1], [0.01])),
    }
    parameter, costs = strengths.get(name, ("C", (None,)))
    weights = ((0.0, 1.0) if name in FORESTS else WEIGHTS) if learned else (None,)
    points = [{"blocks__weight": w, OWN + parameter: c} for w in weights for c in costs]
    return [{k: v for k, v in point.items() if v is not None} for point in points]
