"""One feature set and classifier, fitted on a whole cohort, to be saved and applied."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d

from nonredundant.classifiers.builtin import GRAPH, NAMES, SURVIVAL_NAMES
from nonredundant.evaluation.availability import (
    check_coverage,
    has_conformal_sets,
    is_linear,
    predicts_classes,
)
from nonredundant.evaluation.cohort import read_cohort
from nonredundant.evaluation.cohort_fit import CohortFit, HeldOut
from nonredundant.evaluation.design import Design, read_design, reducer
from nonredundant.evaluation.fingerprint import fingerprint, outside_of
from nonredundant.evaluation.parameters import check_estimator
from nonredundant.evaluation.performance import COLUMNS, training_performance
from nonredundant.evaluation.predictor import Predictor
from nonredundant.evaluation.training_facts import fitted_baseline, training_facts
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.splits import whole_cohort
from nonredundant.folds.stable_features import StableFeatures
from nonredundant.folds.steps import EncodeClinical, check_clinical_cells, check_steps
from nonredundant.lesions.features import check_columns, check_usable, read_table
from nonredundant.lesions.labels import align, among_all
from nonredundant.lesions.table import LesionTable
from nonredundant.models.sample_categories import named_categories
from nonredundant.nn.state import seal, unseal
from nonredundant.statistics.conformal import conformal_p_values
from nonredundant.statistics.survival import check_survival, concordance_index
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import (
    Interval,
    InvalidParameterError,
    validate_parameter_constraints,
)


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
    reference : bool, default=False
        Whether the known columns of a fused set (HCR of HCR+DLR-MI) are also fitted alone, so that
        `validate_model` can tell what the learned ones add elsewhere.
    cv : int or None, default=None
        Number of folds, fewer where the rarest class has fewer samples, whose models and
        predictions of held-out samples are kept: for the performance, and for conformal sets of
        new cases. The fit takes as many times longer. None: neither.
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
    blocks_ : dict of str to str
        Block of each feature: "hcr", "clinical" or the name of an embedding.
    reference_ : Predictor or None
        The known columns alone, if asked for.
    out_of_fold_ : dict of str to array, or None
        Outcome, fold and predictions of every training sample, without ids, if asked for.
    fold_models_ : list of Predictor
        The models of the folds.
    baseline_ : dict of str to array, or None
        Cumulative hazard of a patient of risk 0, of a Cox regression.
    facts_ : dict
        What a model card tells of the training cohort; no ids, no paths.

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
        reference: bool = False,
        cv: int | None = None,
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
        self.reference = reference
        self.cv = cv
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
            models=(self.cvae, self.embedding),
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
        fits = CohortFit(cohort, design, self.cvae, reduced, self.reference)
        whole = fits.on(whole_cohort(cohort.n, seed))
        held = None if self.cv is None else fits.on_folds(self.cv, seed)
        if self.cv is not None and held is None:
            read.messages.append(
                "the rarest class has too few samples for folds: the model has neither a measured "
                "performance nor conformal sets"
            )
        for message in dict.fromkeys([*read.messages, *whole.messages]):
            warn_user(message)
        predictor, fitted = whole.fits[0]
        self.columns_ = list(cohort.table.columns)
        self.blocks_ = dict(cohort.table.blocks)
        self.classes_ = cohort.outcome.classes
        self.feature_set_ = predictor.name
        self.classifier_name_ = fitted.classifier
        self.chosen_ = dict(fitted.chosen)
        self._keep(predictor, whole.fits[1][0] if len(whole.fits) > 1 else None, held)
        self.baseline_ = fitted_baseline(predictor, cohort.table, cohort.outcome)
        self.facts_ = training_facts(cohort, seed, getattr(predictor.steps, "steps", []))
        self.fingerprint_ = fingerprint(
            cohort.table,
            X[read.kept],
            self._root(),
            whole.data.table.columns_of("clinical"),
            [*named_categories(self.cvae), *named_categories(self.embedding)],
        )
        return self

    def _keep(
        self, predictor: Predictor, reference: Predictor | None, held: HeldOut | None
    ) -> None:
        """Store the fitted models."""
        self.steps_, self.representation_ = predictor.steps, predictor.representation
        self.model_ = predictor.model
        self.reference_ = reference
        self.fold_models_ = [] if held is None else held.models
        self.out_of_fold_: dict[str, np.ndarray] | None = None if held is None else held.table()

    @property
    def predictor_(self) -> Predictor:
        """Steps, columns and classifier together."""
        return Predictor(self.steps_, self.representation_, self.model_)

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

    @available_if(predicts_classes)
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
        table = self.extract(X)
        fine = (table.status == "ok").to_numpy()
        p = np.full((len(table), len(self.classes_)), np.nan)
        if fine.any():
            predictor = self.predictor_
            p[fine] = predictor.model.predict_proba(predictor.inputs(table[fine]))
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
        table = self.extract(X)
        failed = table.index[(table.status != "ok").to_numpy()].tolist()
        if failed:
            raise ValueError(
                f"{len(failed)} cases could not be read and have no prediction: {failed[:5]}; "
                "leave them out"
            )
        if not len(self.classes_):
            return self.predictor_.respond(table)[:, -1]
        return self.classes_[self.predict_proba(table).argmax(axis=1)]

    @available_if(has_conformal_sets)
    def conformal_p_values(self, X: Any) -> pd.DataFrame:
        """Return how unusual each case would be among the training samples of each class.

        Available if `cv` was set and the classifier has probabilities. See
        `nonredundant.statistics.conformal_p_values` for the method and what it assumes.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions.

        Returns
        -------
        DataFrame of shape (n_samples, n_classes)
            The p-values, a column per class; NaN for a case that could not be read.
        """
        check_is_fitted(self, "model_")
        table, held = self.extract(X), self.out_of_fold_ or {}
        fine = (table.status == "ok").to_numpy()
        p = np.full((len(table), len(self.classes_)), np.nan)
        if fine.any():
            new = np.stack([model.respond(table[fine]) for model in self.fold_models_])
            p[fine] = conformal_p_values(held["y"], held["response"], held["fold"], new)
        return pd.DataFrame(p, index=table.index, columns=self.classes_)

    @available_if(has_conformal_sets)
    def predict_set(self, X: Any, *, coverage: float = 0.9) -> pd.DataFrame:
        """Return the classes that cannot be ruled out for each case.

        Available if `cv` was set and the classifier has probabilities. Of the cases of each class,
        a share of `coverage` has sets that hold it, if new cases are like the training cohort; sets
        of cases that are not may be anything.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions.
        coverage : float, default=0.9
            Share of the cases of each class whose sets are to hold it, in (0, 1).

        Returns
        -------
        DataFrame of bool, of shape (n_samples, n_classes)
            Whether a class is in the set of a case. A set may hold several classes, or none: the
            case is unlike those of every class. A case that could not be read has all.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from nonredundant import LesionTable
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat(["benign", "malignant"], 50)
        >>> uptake = 2 * (y == "malignant") + rng.normal(size=100)
        >>> table = LesionTable(pd.DataFrame({"uptake": uptake}))
        >>> model = FeatureSetClassifier("HCR", cv=5, random_state=0).fit(table, y)
        >>> new = LesionTable(pd.DataFrame({"uptake": [-1.0, 1.0, 3.0]}))
        >>> model.predict_set(new)
           benign  malignant
        0    True      False
        1    True       True
        2   False       True
        """
        check_coverage(coverage)
        p = self.conformal_p_values(X)
        return (p > 1 - coverage) | p.isna()

    @available_if(is_linear)
    def contributions(self, X: Any) -> pd.DataFrame:
        """Return what each feature adds to the log-odds, or log hazard, of each case.

        Available for linear models of two classes or of times: logistic and Cox regressions. Zero
        is the mean of the training samples. Features that go together share a contribution, so
        single ones are no causes.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions.

        Returns
        -------
        DataFrame of shape (n_samples, n_columns)
            The contributions; NaN for a case that could not be read.
        """
        check_is_fitted(self, "model_")
        table = self.extract(X)
        fine = (table.status == "ok").to_numpy()
        if not fine.any():
            return pd.DataFrame(index=table.index)
        return among_all(self.predictor_.contributions(table[fine]), fine, table.index)

    def performance(self) -> pd.DataFrame:
        """Return the scores of the training samples by the models of the folds, with intervals.

        Returns
        -------
        DataFrame
            `measure, estimate, low, high, reason`, which says why something is not estimable; empty
            if `cv` was None, and nothing was measured.
        """
        check_is_fitted(self, "model_")
        if self.out_of_fold_ is None:
            return pd.DataFrame(columns=COLUMNS)
        return training_performance(self.out_of_fold_, len(self.classes_))

    def __sklearn_tags__(self) -> Any:
        """Declare that missing values are allowed; they are imputed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Return the state; that of a fitted model has a format number and checksums."""
        state = dict(super().__getstate__())
        if "model_" not in state:
            return state
        steps = check_steps(state["steps"], "FeatureSetClassifier")
        return seal({**state, "steps": [(name, _without_repeats(step)) for name, step in steps]})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state; parameters that did not exist when it was saved get defaults.

        Raises
        ------
        ValueError
            If the state has another format number or values that differ from their checksums.
        """
        later: dict[str, Any] = {"embedding": None, "reference": False, "cv": None}
        if "model_" in state:
            later |= dict.fromkeys(("reference_", "out_of_fold_", "baseline_"))
            later |= {"fold_models_": [], "blocks_": {}, "facts_": {}}
        super().__setstate__({**later, **unseal(state)})

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
        table = self.extract(X) if lesions is None else lesions
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

    def extract(self, X: Any) -> LesionTable:
        """Return the lesions of cases with the features of the training cohort.

        Every method takes them in place of the cases, so that images are read once.

        Parameters
        ----------
        X : DataFrame, LesionTable or array of shape (n_samples, n_features)
            Cases or lesions.

        Returns
        -------
        LesionTable
            The lesions.

        Raises
        ------
        TypeError
            If X are cases and the model was not fitted on images.
        ValueError
            If features are missing or new.
        """
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
        constraints: dict[str, Any] = {
            "reference": ["boolean"],
            "cv": [Interval(Integral, 2, None, closed="left"), None],
        }
        given = {name: getattr(self, name) for name in constraints}
        validate_parameter_constraints(constraints, given, caller_name=type(self).__name__)

    def _root(self) -> Any:
        """Return the folder that relative paths start from."""
        return getattr(getattr(self, "extractor_", None), "root", None)


def _without_repeats(step: Any) -> Any:
    """Return a step without repeats of the training cohort, which a file should not hold."""
    if not isinstance(step, StableFeatures):
        return step
    step = copy.copy(step)
    step.repeats = None
    return step


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
