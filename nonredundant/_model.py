"""One chosen feature set and classifier, fitted on a whole cohort, to be saved and applied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nonredundant import _classifiers as classifiers
from nonredundant._case_table import read_rows
from nonredundant._feature_sets import (
    FeatureSet,
    parse_feature_set,
    pool_samples,
    size_and_uptake,
)
from nonredundant._fitting import inner_metric
from nonredundant._folds import Fold, inner_splits, smallest_class
from nonredundant._representations import learn, residualise
from nonredundant.lesions import LesionTable

#: A case is far from the training cohort if more of its features than this lie outside of it.
_SHARE_OUTSIDE = 0.25
#: Margin around the training cohort's range, as a share of that range.
_MARGIN = 0.1


class FeatureSetClassifier(ClassifierMixin, BaseEstimator):
    """One feature set and one classifier, from cases to predictions.

    What `compare_feature_sets` fits in a fold, fitted on a whole cohort: extraction, clinical
    columns, network, imputing, scaling and a tuned classifier. It also remembers what the
    training cohort looked like, so that `outside` can tell which new cases lie beyond it.

    Parameters
    ----------
    feature_set : str, default="HCR+DLR-MI"
        As in `compare_feature_sets`.
    classifier : str or classifier, default="LR"
        "LR", "SVM" or "RF", tuned by inner cross-validation, or an estimator that is fitted as
        it is.
    extractor : RadiomicsExtractor, optional
        For case tables.
    cvae : NonRedundantCVAE, optional
        The network.
    class_weight : dict or "balanced", optional
        Handed to classifiers that know it.
    sampler : {"smote", "over", "under"} or imbalanced-learn sampler, optional
        Resamples training rows.
    random_state : int, RandomState or None, default=None
        Seed of network and classifier.

    Attributes
    ----------
    classes_ : array
        The labels.
    model_ : Pipeline
        Imputer, scaler and classifier.
    network_ : transformer or None
        What describes the patches.
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
        extractor: Any = None,
        cvae: Any = None,
        class_weight: Any = None,
        sampler: Any = None,
        random_state: Any = None,
    ) -> None:
        self.feature_set = feature_set
        self.classifier = classifier
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
        self._learn(one, table, codes, fold)
        base, added = self._blocks(one, table)
        self._tune(base, added, codes, seed)
        self.fingerprint_ = _fingerprint(table, X, self._root())
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
            base, added = self._blocks(parse_feature_set(self.feature_set), table[fine])
            p[fine] = self.model_.predict_proba(np.hstack([base, added]))
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
        marks, now = self.fingerprint_, _describe(table, X, self._root())
        reasons: dict[Any, list[str]] = {label: [] for label in table.index}
        for name, what in (("levels", "grey levels"), ("spacing", "mm voxels")):
            if name in marks and name in now:
                low, high = marks[name]
                margin = _MARGIN * (high - low) + 1e-6 * abs(high)
                for label, value in zip(table.index, now[name], strict=True):
                    if not low - margin <= value <= high + margin and not np.isnan(value):
                        reasons[label].append(f"{value:.3g} {what} (trained {low:.3g}-{high:.3g})")
        low, high = marks["low"], marks["high"]
        margin = _MARGIN * (high - low)
        values = pool_samples(table, table.hcr).to_numpy()
        odd = (values < low - margin) | (values > high + margin)
        for label, row in zip(table.index, odd, strict=True):
            if row.mean() > _SHARE_OUTSIDE:
                reasons[label].append(f"{int(row.sum())} of {len(row)} features out of range")
        return pd.Series({label: "; ".join(said) for label, said in reasons.items()}, dtype=str)

    def _read(self, X: Any, y: Any) -> LesionTable:
        """Return the lesions; `y` is given at fit."""
        if isinstance(X, LesionTable):
            return X
        if y is not None:
            extractor = self.extractor
            if extractor is None:
                from nonredundant.extraction import RadiomicsExtractor

                extractor = RadiomicsExtractor()
            self.extractor_ = clone(extractor).fit(X, y)
        check_is_fitted(self, "extractor_")
        return self.extractor_.transform(X)

    def _root(self) -> Any:
        """Return the folder that relative paths start from."""
        return getattr(getattr(self, "extractor_", None), "root", None)

    def _learn(self, one: FeatureSet, table: LesionTable, codes: np.ndarray, fold: Fold) -> None:
        """Pick columns and fit what describes the patches."""
        hcr = pool_samples(table, table.hcr)
        self.columns_ = [] if one.selection is None else one.selection.columns(hcr, codes)
        self.network_, self.residualiser_, self.condition_ = None, None, []
        if one.variant is None:
            return
        if self.cvae is None:
            from nonredundant.cvae import NonRedundantCVAE

            cvae = NonRedundantCVAE()
        else:
            cvae = self.cvae
        source = learn(table, codes, fold, one.variant.source, cvae, "")
        self.network_ = source.model
        self.condition_ = one.variant.selection.columns(hcr, codes)
        if one.variant.kind == "residual":
            self.residualiser_ = residualise(source, one.variant, hcr, codes, fold).model

    def _blocks(self, one: FeatureSet, table: LesionTable) -> tuple[np.ndarray, np.ndarray]:
        """Return the set's own columns and its learned block."""
        hcr = pool_samples(table, table.hcr)
        parts = [hcr[self.columns_]] if one.selection is not None else []
        if one.cheap:
            parts.append(size_and_uptake(table)[list(one.cheap)])
        if one.clinical:
            parts.append(pool_samples(table, table.clinical))
        n = len(table)
        base = np.hstack([part.to_numpy(dtype=float) for part in parts] or [np.empty((n, 0))])
        if self.network_ is None:
            return base, np.empty((n, 0))
        names = [*self.condition_, *table.columns_of("clinical")]
        values = self.network_.transform(table.replace(features=table.features[names]))
        if isinstance(values, LesionTable):
            values = values.features.to_numpy()
        d = pool_samples(table, np.asarray(values)).to_numpy(dtype=float)
        if self.residualiser_ is not None:
            d = self.residualiser_.transform(hcr[self.condition_], d)
        return base, d

    def _tune(self, base: np.ndarray, added: np.ndarray, y: np.ndarray, seed: int) -> None:
        """Tune and fit the classifier."""
        from sklearn.metrics import get_scorer
        from sklearn.pipeline import Pipeline

        ((name, estimator),) = classifiers.resolve_classifiers(self.classifier).items()
        splits = inner_splits(y, None, seed)
        pipeline = classifiers.make_pipeline(
            name,
            estimator,
            base.shape[1] or added.shape[1],
            class_weight=self.class_weight,
            sampler=self.sampler,
            seed=seed,
            smallest=smallest_class(y, splits),
        )
        n_classes = len(self.classes_)
        metric = "roc_auc" if n_classes == 2 else "roc_auc_ovr"
        tuned = classifiers.tune(
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


def _fingerprint(table: LesionTable, X: Any, root: Any) -> dict[str, Any]:
    """Return the ranges of the training cohort."""
    values = pool_samples(table, table.hcr).to_numpy()
    marks: dict[str, Any] = {
        "n_samples": len(table),
        "low": np.nanmin(values, axis=0) if values.size else np.empty(0),
        "high": np.nanmax(values, axis=0) if values.size else np.empty(0),
    }
    for name, found in _describe(table, X, root).items():
        if np.isfinite(found).any():
            marks[name] = [float(np.nanmin(found)), float(np.nanmax(found))]
    return marks


def _describe(table: LesionTable, X: Any, root: Any) -> dict[str, np.ndarray]:
    """Return each sample's grey levels, where the settings tell, and its images' voxel size."""
    found: dict[str, np.ndarray] = {}
    settings = table.provenance.get("parameters", {}).get("setting", {})
    width = settings.get("binWidth", 25.0)
    if "original_firstorder_Range" in table.blocks and settings.get("binCount") is None:
        span = pool_samples(table, table.features[["original_firstorder_Range"]])
        found["levels"] = np.floor(span.to_numpy()[:, 0] / width) + 1
    if isinstance(X, pd.DataFrame):
        found["spacing"] = _voxel_sizes(X, table, root)
    return found


def _voxel_sizes(X: pd.DataFrame, table: LesionTable, root: Any) -> np.ndarray:
    """Return the cube root of each image's voxel volume in mm; NaN where it cannot be read."""
    from nonredundant.io import CaseError, read_image

    sizes = []
    sources = dict(zip(X.index, read_rows(X, root), strict=True))
    for label in table.index:
        try:
            image = read_image(sources[label].image, spacing=sources[label].spacing)
        except CaseError:
            # The extraction has told what is wrong with it.
            sizes.append(np.nan)
            continue
        spacing = np.asarray(image.GetSpacing())
        sizes.append(float(spacing.prod() ** (1 / len(spacing))))
    return np.asarray(sizes)
