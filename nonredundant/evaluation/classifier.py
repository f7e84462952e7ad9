"""One chosen feature set and classifier, fitted on a whole cohort, to be saved and applied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nonredundant.evaluation.aggregation import (
    PatientLevel,
    has_lesion_columns,
    lesion_set,
    resolve_patients,
)
from nonredundant.evaluation.classifiers import make_pipeline, resolve_classifiers
from nonredundant.evaluation.feature_sets import FeatureSet, cheap_columns, parse_feature_set
from nonredundant.evaluation.fingerprint import fingerprint, outside_of
from nonredundant.evaluation.fitting import inner_metric
from nonredundant.evaluation.folds import Fold, inner_splits, smallest_class
from nonredundant.evaluation.outcome import by_position
from nonredundant.evaluation.representations import learn, residualise
from nonredundant.evaluation.tuning import tune
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable


class FeatureSetClassifier(ClassifierMixin, BaseEstimator):
    """One feature set and one classifier, from cases to predictions.

    What `compare_feature_sets` fits in a fold, fitted on a whole cohort: extraction, clinical
    columns, network, imputing, scaling and a tuned classifier. It also remembers what the
    training cohort looked like, so that `outside` can tell which new cases lie beyond it.

    Parameters
    ----------
    feature_set : str, default="HCR+DLR-MI"
        As in `compare_feature_sets`; clinical columns go with the hand-crafted ones.
    classifier : str or classifier, default="LR"
        "LR", "SVM" or "RF", tuned by inner cross-validation, or an estimator that is fitted as
        it is. Of no use where `patients` asks for a graph.
    patients : str, list of str, LesionPooling or LesionGraphClassifier, default="mean"
        How several lesions of a sample make one prediction, as in `compare_feature_sets`; a
        graph takes the place of the classifier.
    extractor : RadiomicsExtractor, optional
        For case tables.
    cvae : NonRedundantCVAE, optional
        The network.
    class_weight : dict or "balanced", optional
        Handed to classifiers that know it; labels as in y.
    sampler : {"smote", "over", "under"} or imbalanced-learn sampler, optional
        Resamples training rows.
    random_state : int, RandomState or None, default=None
        Seed of network and classifier.

    Attributes
    ----------
    classes_ : array
        The labels.
    model_ : Pipeline or LesionGraphClassifier
        Imputer, scaler and classifier, or the graph.
    network_ : transformer or None
        What describes the patches.
    learned_names_ : list of str
        Names of what it gives, if there is one.
    chosen_ : dict
        What inner cross-validation chose.
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
        classifier: Any = "LR",
        patients: Any = "mean",
        extractor: Any = None,
        cvae: Any = None,
        class_weight: Any = None,
        sampler: Any = None,
        random_state: Any = None,
    ) -> None:
        self.feature_set = feature_set
        self.classifier = classifier
        self.patients = patients
        self.extractor = extractor
        self.cvae = cvae
        self.class_weight = class_weight
        self.sampler = sampler
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> FeatureSetClassifier:
        """Extract, learn and tune on the whole cohort.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If the feature set is unknown or the labels do not fit.
        """
        one = parse_feature_set(self.feature_set)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        table = self._read(X, y)
        labels = np.asarray(y)
        if len(labels) != len(table):
            raise ValueError(f"y has {len(labels)} labels but there are {len(table)} samples")
        fine = (table.status == "ok").to_numpy()
        table = table[fine]
        self.classes_, codes = np.unique(labels[fine], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds the one class {self.classes_[0]!r}; two are needed")
        fold = Fold(0, 0, np.arange(len(codes)), np.arange(0), seed)
        level = self._level()
        self._learn(one, table, codes, fold, level)
        if level.graph is not None:
            self._fit_graph(one, table, level.graph, codes, seed)
        else:
            self._tune(*self._blocks(one, table, level), codes, seed)
        self.fingerprint_ = fingerprint(table, X, self._root())
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return each class's probability; NaN for a case that could not be read.

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
        table = self._read(X, None)
        fine = (table.status == "ok").to_numpy()
        p = np.full((len(table), len(self.classes_)), np.nan)
        if fine.any():
            one, level = parse_feature_set(self.feature_set), self._level()
            if level.graph is not None:
                p[fine] = self.model_.predict_proba(self._lesions(one, table[fine]))
            else:
                blocks = self._blocks(one, table[fine], level)
                p[fine] = self.model_.predict_proba(np.hstack(blocks))
        return p

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions.

        Returns
        -------
        array of shape (n_samples,)
            Labels.

        Raises
        ------
        ValueError
            If a case could not be read.
        """
        p = self.predict_proba(X)
        if np.isnan(p).any():
            raise ValueError(
                f"{int(np.isnan(p).any(axis=1).sum())} cases could not be read and have no "
                "prediction; predict_proba gives NaN for them"
            )
        return self.classes_[p.argmax(axis=1)]

    def outside(self, X: Any, *, lesions: LesionTable | None = None) -> pd.Series:
        """Say which cases lie outside of the training cohort, and in what.

        Parameters
        ----------
        X : DataFrame or LesionTable
            Cases or lesions.
        lesions : LesionTable, optional
            What `extractor_` made of the cases, if it is at hand.

        Returns
        -------
        Series of str, indexed by sample
            Empty where nothing is conspicuous.
        """
        check_is_fitted(self, "model_")
        table = self._read(X, None) if lesions is None else lesions
        return outside_of(self.fingerprint_, table, X, self._root())

    def _read(self, X: Any, y: Any) -> LesionTable:
        """Return the lesions; `y` is given at fit."""
        if isinstance(X, LesionTable):
            return X
        if y is not None:
            extractor = self.extractor
            if extractor is None:
                from nonredundant.extraction.extractor import RadiomicsExtractor

                extractor = RadiomicsExtractor()
            self.extractor_ = clone(extractor).fit(X, y)
        check_is_fitted(self, "extractor_")
        return self.extractor_.transform(X)

    def _level(self) -> PatientLevel:
        """Return how lesions make one prediction, of classes."""
        return resolve_patients(self.patients).for_classes()

    def _root(self) -> Any:
        """Return the folder that relative paths start from."""
        return getattr(getattr(self, "extractor_", None), "root", None)

    def _learn(
        self,
        one: FeatureSet,
        table: LesionTable,
        codes: np.ndarray,
        fold: Fold,
        level: PatientLevel,
    ) -> None:
        """Pick columns and fit what describes the patches."""
        hcr = pool_samples(table, table.hcr)
        self.columns_ = []
        if one.selection is not None:
            rows = hcr if level.graph is not None else level.hcr(table)
            self.columns_ = one.selection.columns(rows, codes)
        self.network_, self.residualiser_, self.condition_ = None, None, []
        if one.variant is None:
            return
        if self.cvae is None:
            from nonredundant.models.cvae import NonRedundantCVAE

            cvae = NonRedundantCVAE()
        else:
            cvae = self.cvae
        source = learn(table, codes, codes, fold, one.variant.source, cvae, "")
        self.learned_names_ = source.columns
        self.network_ = source.model
        self.condition_ = one.variant.selection.columns(hcr, codes)
        if one.variant.kind == "residual":
            self.residualiser_ = residualise(source, one.variant, table, codes, fold).model

    def _learned(self, table: LesionTable) -> np.ndarray | None:
        """Return what the network learned of each lesion, if there is one."""
        if self.network_ is None:
            return None
        names = [*self.condition_, *table.columns_of("clinical")]
        values = self.network_.transform(table.replace(features=table.features[names]))
        if isinstance(values, LesionTable):
            values = values.features.to_numpy()
        values = np.asarray(values, dtype=float)
        if self.residualiser_ is not None:
            values = self.residualiser_.transform(table.hcr[self.condition_], values)
        return values

    def _blocks(
        self, one: FeatureSet, table: LesionTable, level: PatientLevel
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the set's own columns and its learned block, a row a sample."""
        parts = []
        if one.selection is not None:
            parts.append(level.hcr(table)[self.columns_])
        if one.cheap:
            parts.append(cheap_columns(table)[list(one.cheap)])
        if one.clinical:
            parts.append(pool_samples(table, table.clinical))
        n = len(table)
        base = np.hstack([part.to_numpy(dtype=float) for part in parts] or [np.empty((n, 0))])
        values = self._learned(table)
        if values is None:
            return base, np.empty((n, 0))
        frame = pd.DataFrame(values, columns=self.learned_names_)
        return base, level.pool(table, frame).to_numpy(dtype=float)

    def _lesions(self, one: FeatureSet, table: LesionTable) -> LesionTable:
        """Return the lesions as the graph takes them."""
        values = self._learned(table)
        names = [] if values is None else self.learned_names_
        return lesion_set(one, table, values, names, self.columns_)

    def _fit_graph(
        self, one: FeatureSet, table: LesionTable, graph: Any, codes: np.ndarray, seed: int
    ) -> None:
        """Fit the graph of lesions."""
        if not has_lesion_columns(one):
            raise ValueError(
                f"a graph needs features of lesions, and the set {one.name!r} has none: choose "
                "another set, or patients='mean'"
            )
        if self.sampler is not None:
            raise ValueError(f"sampler={self.sampler!r} resamples rows, not graphs of lesions")
        settings = {
            "random_state": seed,
            "class_weight": by_position(self.class_weight, self.classes_),
        }
        known = graph.get_params()
        graph.set_params(**{k: v for k, v in settings.items() if known[k] is None})
        self.chosen_: dict[str, float] = {}
        self.model_ = graph.fit(self._lesions(one, table), codes)

    def _tune(self, base: np.ndarray, added: np.ndarray, y: np.ndarray, seed: int) -> None:
        """Tune and fit the classifier."""
        from sklearn.metrics import get_scorer
        from sklearn.pipeline import Pipeline

        ((name, estimator),) = resolve_classifiers(self.classifier).items()
        splits = inner_splits(y, None, seed)
        pipeline = make_pipeline(
            name,
            estimator,
            base.shape[1] or added.shape[1],
            class_weight=by_position(self.class_weight, self.classes_),
            sampler=self.sampler,
            seed=seed,
            smallest=smallest_class(y, splits),
        )
        n_classes = len(self.classes_)
        metric = "roc_auc" if n_classes == 2 else "roc_auc_ovr"
        tuned = tune(
            name,
            pipeline,
            np.hstack([base, added]),
            y,
            splits,
            learned=bool(base.shape[1] and added.shape[1]),
            own=estimator is not None,
            metric=inner_metric({metric: get_scorer(metric)}, n_classes),
        )
        self.chosen_ = {key: float(value) for key, value in tuned.chosen.items()}
        self.model_ = tuned.model
        if hasattr(tuned.model, "steps"):
            # Samplers have done their work: a plain pipeline is easier to trust from a file.
            self.model_ = Pipeline([step for step in tuned.model.steps if step[0] != "sampler"])
