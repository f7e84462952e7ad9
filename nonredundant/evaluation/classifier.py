"""One feature set and classifier, fitted on a whole cohort, to be saved and applied."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d

from nonredundant.classifiers.builtin import GRAPH, NAMES, SURVIVAL_NAMES
from nonredundant.classifiers.calibrated_margin import CalibratedMargin
from nonredundant.classifiers.late_fusion import LateFusion, LateFusionOfTimes
from nonredundant.classifiers.tuning import respond
from nonredundant.evaluation.cohort import read_cohort
from nonredundant.evaluation.design import Design, read_design, reducer
from nonredundant.evaluation.fingerprint import fingerprint, outside_of
from nonredundant.evaluation.parameters import check_estimator
from nonredundant.folds.feature_sets import FeatureSet, check_feature_set, name_clinical
from nonredundant.folds.fold_data import FoldData, prepare
from nonredundant.folds.fold_model import FoldModel
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.patient_level import has_lesion_columns
from nonredundant.folds.representations import Blocks
from nonredundant.folds.splits import whole_cohort
from nonredundant.folds.steps import EncodeClinical, apply_steps, check_clinical_cells
from nonredundant.lesions.features import check_columns, check_usable, read_table
from nonredundant.lesions.labels import align
from nonredundant.lesions.table import LesionTable
from nonredundant.nn.state import seal, unseal
from nonredundant.statistics.survival import check_survival, concordance_index
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import InvalidParameterError


def _predicts_classes(model: FeatureSetClassifier) -> bool:
    """Raise an AttributeError if a fitted model predicts times to an event."""
    if hasattr(model, "model_") and not len(model.classes_):
        raise AttributeError("a model of times to an event has no probabilities: use predict")
    return True


def _check_rarest(design: Design, outcome: Outcome) -> None:
    """Raise if a class has too few samples for the inner splits that tune a classifier."""
    if outcome.is_survival or None not in design.estimators.values():
        return
    sizes = np.bincount(outcome.strata, minlength=len(outcome.states))
    rarest = int(sizes.argmin())
    if sizes[rarest] < 2:
        raise ValueError(
            f"the rarest class, {outcome.states[rarest]}, has {sizes[rarest]} sample, and tuning "
            "by inner cross-validation needs 2: collect more samples of it, leave it out, or give "
            "a classifier of your own, which is not tuned"
        )


class FeatureSetClassifier(ClassifierMixin, BaseEstimator):
    """One feature set and one classifier, from cases to predictions.

    The model that `compare_feature_sets` fits in each fold, fitted on a whole cohort: extraction,
    clinical columns, network, imputing, scaling and a tuned classifier. It also stores the ranges
    of the training cohort, so that `outside` can name new cases that lie beyond them.

    Parameters
    ----------
    feature_set : str, default="HCR+DLR-MI"
        As in `compare_feature_sets`; clinical columns are added to the hand-crafted ones, and
        `feature_set_` says so.
    classifier : str or classifier, default=None
        "LR", "SVM", "RF", "EN", "GB", "KNN" or "ensemble", for times to an event "Cox" or "RSF",
        tuned by inner cross-validation, or an estimator that is fitted as it is. None: "LR" or
        "Cox". Ignored where `patients` is a graph.
    patients : str, list of str, LesionPooling or LesionGraphClassifier, default="mean"
        How several lesions of a sample make one prediction, as in `compare_feature_sets`; a
        graph takes the place of the classifier. Times to an event take a `LesionGraphSurvival`.
    extractor : RadiomicsExtractor, optional
        For case tables.
    cvae : NonRedundantCVAE, optional
        The network.
    embedding : NonRedundantEmbedding, optional
        How a given embedding is reduced, as in `compare_feature_sets`.
    steps : list of transformers, or Pipeline
        What is learned of the training samples before network and classifier, as in
        `compare_feature_sets`; the model applies it to new cases.
    class_weight : dict or "balanced", optional
        Passed to classifiers that accept it; labels as in y.
    sampler : {"smote", "over", "under"} or imbalanced-learn sampler, optional
        Resamples training rows.
    random_state : int, RandomState or None, default=None
        Seed of network and classifier.

    Attributes
    ----------
    classes_ : array
        The labels; empty for times to an event.
    feature_set_ : str
        Name of the feature set; it starts with "Clinical" if there are clinical columns in it.
    columns_ : list of str
        Names of the features of a table of lesions, in any order.
    classifier_name_ : str
        Name of the classifier; "graph" for a graph of lesions.
    model_ : Pipeline, LesionGraphClassifier or LesionGraphSurvival
        Imputer, scaler and classifier, or the graph.
    steps_ : Pipeline or None
        The fitted steps, the encoding of clinical columns first; None without any.
    representation_ : Representation
        The columns of the feature set.
    network_ : transformer or None
        The transformer of the patches.
    learned_names_ : list of str
        Names of the learned features.
    chosen_ : dict
        Values chosen by inner cross-validation.
    fingerprint_ : dict
        Ranges of features, grey levels and voxel sizes of the training cohort.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable
    >>> from nonredundant.evaluation import FeatureSetClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["benign", "malignant"], 30)
    >>> uptake = (y == "malignant") + rng.normal(size=60)
    >>> table = LesionTable(pd.DataFrame({"uptake": uptake, "size": rng.normal(size=60)}))
    >>> model = FeatureSetClassifier("HCR", random_state=0).fit(table, y)
    >>> model.predict_proba(table).shape
    (60, 2)
    """

    def __init__(
        self,
        feature_set: str = "HCR+DLR-MI",
        *,
        classifier: Any = None,
        patients: Any = "mean",
        extractor: Any = None,
        cvae: Any = None,
        embedding: Any = None,
        steps: Any = (),
        class_weight: Any = None,
        sampler: Any = None,
        random_state: Any = None,
    ) -> None:
        self.feature_set = feature_set
        self.classifier = classifier
        self.patients = patients
        self.extractor = extractor
        self.cvae = cvae
        self.embedding = embedding
        self.steps = steps
        self.class_weight = class_weight
        self.sampler = sampler
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> FeatureSetClassifier:
        """Extract, learn and tune on the whole cohort.

        Parameters
        ----------
        X : DataFrame, LesionTable or array of shape (n_samples, n_features)
            Cases, lesions, or a matrix of features with one lesion per row.
        y : array-like of shape (n_samples,)
            Labels, none missing (NaN, or -1 beside two others); or times to an event, as in
            `compare_feature_sets`.
        groups : array-like of shape (n_samples,), optional
            Samples of one group are never on both sides of the inner splits; by default samples
            with the same label of the index.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If the feature set is unknown or cannot be computed, or the labels do not fit.
        """
        self._check_parameters()
        X = self._read_rows(X, reset=True)
        given = read_cohort(
            X,
            _read_target(y, X),
            caller="FeatureSetClassifier",
            groups=groups,
            extractor=self.extractor,
            steps=self.steps,
            ids_are_groups=True,
        )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        design = self._design(given.outcome, given.embeddings)
        reduced = reducer(self.embedding, design.sets)
        read = given.read()
        # An extractor of an earlier fit would read images with which this one has nothing to do.
        self.__dict__.pop("extractor_", None)
        if read.extractor is not None:
            self.extractor_ = read.extractor
        cohort = read.cohort
        _check_rarest(design, cohort.outcome)
        data = prepare(cohort, whole_cohort(cohort.n, seed))
        feature_set = _usable_set(design, data)
        cvae = design.network(self.cvae, [feature_set], cohort.outcome)
        model = FoldModel(data, design.level, design.options, cvae, reduced)
        model.learn([feature_set])
        (classifier, estimator), *_ = design.estimators.items()
        self.representation_, fitted = model.fit(feature_set, classifier, estimator)
        learned = [message for record in model.learned.values() for message in record.warnings]
        told = [*read.messages, *data.messages, *learned, *fitted.warnings]
        for message in dict.fromkeys(told):
            warn_user(message)
        self.columns_ = list(cohort.table.columns)
        self.steps_ = data.pipeline
        self.classes_ = cohort.outcome.classes
        self.feature_set_ = feature_set.name
        self.classifier_name_ = fitted.classifier
        self.chosen_ = dict(fitted.chosen)
        self.model_ = _without_sampler(fitted.model)
        self.fingerprint_ = fingerprint(
            cohort.table, X, self._root(), data.table.columns_of("clinical")
        )
        return self

    @property
    def network_(self) -> Any:
        """The transformer of the patches; None if the feature set needs none."""
        encoder = self.representation_.encoder_
        return None if encoder is None else encoder.network

    @property
    def learned_names_(self) -> list[str]:
        """Names of the learned features."""
        encoder = self.representation_.encoder_
        return [] if encoder is None else encoder.names

    @available_if(_predicts_classes)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class; NaN for a case that could not be read.

        Not available for times to an event.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions, extracted with the settings of the training cohort.

        Returns
        -------
        array of shape (n_samples, n_classes)
            Probabilities.
        """
        check_is_fitted(self, "model_")
        table = self._extract(X)
        fine = (table.status == "ok").to_numpy()
        p = np.full((len(table), len(self.classes_)), np.nan)
        if fine.any():
            p[fine] = self.model_.predict_proba(self._features(table[fine]))
        return p

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class, or the risk of an event.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions.

        Returns
        -------
        array of shape (n_samples,)
            Labels; for times to an event risks, higher for earlier events.

        Raises
        ------
        ValueError
            If a case could not be read.
        """
        check_is_fitted(self, "model_")
        table = self._extract(X)
        failed = table.index[(table.status != "ok").to_numpy()].tolist()
        if failed:
            raise ValueError(
                f"{len(failed)} cases could not be read and have no prediction: {failed[:5]}; "
                "leave them out"
            )
        if not len(self.classes_):
            return respond(self.model_, self._features(table))[:, -1]
        return self.classes_[self.predict_proba(table).argmax(axis=1)]

    def __sklearn_tags__(self) -> Any:
        """Declare that missing values are allowed; they are imputed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Return the state; that of a fitted model has a format number and checksums."""
        state = dict(super().__getstate__())
        return seal(state) if "model_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state; parameters that did not exist when it was saved get defaults.

        Raises
        ------
        ValueError
            If the state has another format number or values that differ from their checksums.
        """
        super().__setstate__({"embedding": None, **unseal(state)})

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, or Harrell's concordance of the risks with times to an event.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions.
        y : array-like of shape (n_samples,)
            Labels, or times to an event.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, for labels only.

        Returns
        -------
        float
            The score, between 0 and 1.
        """
        check_is_fitted(self, "model_")
        if len(self.classes_):
            return super().score(X, y, sample_weight)
        return concordance_index(*check_survival(y, len(X)), self.predict(X))

    def outside(self, X: Any, *, lesions: LesionTable | None = None) -> pd.Series:
        """List the quantities in which each case is outside of the training cohort.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions.
        lesions : LesionTable, optional
            The cases as extracted by `extractor_`, if at hand.

        Returns
        -------
        Series of str, indexed by sample
            Empty for cases inside the training cohort.
        """
        check_is_fitted(self, "model_")
        table = self._extract(X) if lesions is None else lesions
        return outside_of(self.fingerprint_, table, X, self._root())

    def _read_rows(self, X: Any, *, reset: bool) -> Any:
        """Return the rows of a matrix as lesions; cases and lesions unchanged."""
        if isinstance(X, LesionTable | pd.DataFrame):
            if reset:
                # What an earlier fit learned of a matrix says nothing about this one.
                for name in ("n_features_in_", "feature_names_in_"):
                    self.__dict__.pop(name, None)
            return X
        return read_table(self, X, reset=reset)

    def _extract(self, X: Any) -> LesionTable:
        """Return the lesions of cases, before the steps."""
        if hasattr(self, "n_features_in_"):
            X = self._read_rows(X, reset=False)
        if isinstance(X, LesionTable):
            X = self._without_encoded(X)
            check_columns(self.columns_, check_usable(X))
            return X.replace(features=X.features[self.columns_])
        if not hasattr(self, "extractor_"):
            raise TypeError(
                "the model was fitted on a LesionTable and cannot read images: give a LesionTable "
                f"with the same columns, got {type(X).__name__}"
            )
        if isinstance(X, pd.DataFrame) and self.steps_ is not None:
            check_clinical_cells(self.steps_.steps, X)
        return self.extractor_.transform(X)

    def _without_encoded(self, X: LesionTable) -> LesionTable:
        """Leave out clinical columns of an extraction that the model encodes by its own step."""
        steps = [] if self.steps_ is None else [step for _, step in self.steps_.steps]
        encoded = {
            str(name)
            for step in steps
            if isinstance(step, EncodeClinical)
            for name in step.get_feature_names_out()
        }
        extra = [c for c in X.columns_of("clinical") if c in encoded and c not in self.columns_]
        return X.replace(features=X.features.drop(columns=extra)) if extra else X

    def _design(self, outcome: Outcome, embeddings: list[str]) -> Design:
        """Return what is fitted; names are checked before images are read, which may take hours."""
        classifier = self.classifier
        if classifier is None:
            classifier = (SURVIVAL_NAMES if outcome.is_survival else NAMES)[0]
        design = read_design(
            outcome,
            feature_sets=self.feature_set,
            classifiers=classifier,
            patients=self.patients,
            class_weight=self.class_weight,
            sampler=self.sampler,
            embeddings=embeddings,
        )
        named = [name for name in design.estimators if name != GRAPH]
        if len(named) != 1:
            raise ValueError(f"classifier must be one name or estimator, got {classifier!r}")
        _check_rarest(design, outcome)
        return design

    def _check_parameters(self) -> None:
        """Raise if a parameter is of another type."""
        if not isinstance(self.feature_set, str):
            raise InvalidParameterError(
                f"The 'feature_set' parameter of FeatureSetClassifier must be the name of one "
                f"set, such as 'HCR'. Got {self.feature_set!r} instead."
            )
        for name in ("extractor", "cvae", "embedding"):
            check_estimator(getattr(self, name), name, "FeatureSetClassifier")

    def _features(self, table: LesionTable) -> Any:
        """Return the input of the fitted classifier, or of the graph."""
        features = self.representation_.transform(apply_steps(self.steps_, table))
        return features.matrix if isinstance(features, Blocks) else features

    def _root(self) -> Any:
        """Return the folder that relative paths start from."""
        return getattr(getattr(self, "extractor_", None), "root", None)


def _usable_set(design: Design, data: FoldData) -> FeatureSet:
    """Return the feature set, named for clinical columns; raise if it cannot be computed."""
    table = data.table
    design.level.check(table)
    (feature_set,) = name_clinical(design.sets, [], clinical=bool(table.columns_of("clinical")))
    check_feature_set(feature_set, table)
    if design.level.graph is not None and not has_lesion_columns(feature_set):
        raise ValueError(
            "a graph needs features of lesions, and takes them all at once, which the set "
            f"{feature_set.name!r} does not: choose another set, or patients='mean'"
        )
    return feature_set


def _without_sampler(model: Any) -> Any:
    """Return a fitted model without its sampler, which acts in `fit` only.

    A file then holds fewer types to trust.
    """
    if isinstance(model, CalibratedMargin):
        model = copy.copy(model)
        model.estimator, model.margin_ = map(_without_sampler, (model.estimator, model.margin_))
        return model
    if isinstance(model, FrozenEstimator):
        return FrozenEstimator(_without_sampler(model.estimator))
    if isinstance(model, LateFusion | LateFusionOfTimes):
        model = copy.copy(model)
        model.estimators, model.models_ = (
            [_without_sampler(one) for one in models]
            for models in (model.estimators, model.models_)
        )
        return model
    if isinstance(model, VotingClassifier):
        model = copy.copy(model)
        model.estimators = [(name, _without_sampler(one)) for name, one in model.estimators]
        model.estimators_ = [one for _, one in model.estimators]
        model.named_estimators_ = dict(model.estimators)
        return model
    if not hasattr(model, "steps"):
        return model
    return Pipeline([step for step in model.steps if step[0] != "sampler"])


def _read_target(y: Any, X: Any) -> Any:
    """Return labels or times in the order of the cases."""
    if y is None:
        raise ValueError(
            "FeatureSetClassifier requires y to be passed, but the target y is None: give the "
            f"labels of the {len(X)} samples, or their times to an event"
        )
    if isinstance(y, list | tuple | pd.Series | pd.DataFrame):
        return align(y, X, "y")
    y = np.asarray(y)
    return column_or_1d(y, warn=True) if y.shape == (len(X), 1) else y
