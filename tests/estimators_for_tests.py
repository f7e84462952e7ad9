"""One cheap instance of every estimator, and the checks of scikit-learn that it cannot pass."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.utils.validation import validate_data
from skorch import NeuralNet

import nonredundant
from nonredundant import LesionTable, RadiomicsExtractor
from nonredundant.classifiers.block_scaler import BlockScaler
from nonredundant.classifiers.calibrated_margin import CalibratedMargin
from nonredundant.classifiers.cox import RidgeCox
from nonredundant.classifiers.late_fusion import LateFusion, LateFusionOfTimes
from nonredundant.classifiers.nearest_neighbours import NearestNeighbours
from nonredundant.classifiers.ridge_logistic import RidgeLogistic
from nonredundant.classifiers.scoring import Recorded, RecordedNumbers
from nonredundant.contrastive import VAE, ContrastiveCVAE, ContrastiveVAE, SepVAE
from nonredundant.cvae import NonRedundantCVAE
from nonredundant.encoders import FrozenEncoder
from nonredundant.evaluation import FeatureSetClassifier
from nonredundant.extraction.categories import CategoryIndicators
from nonredundant.folds.harmonise import Harmonise
from nonredundant.folds.select_features import SelectFeatures
from nonredundant.folds.selection import SelectHCR, Selection
from nonredundant.folds.stable_features import StableFeatures
from nonredundant.folds.steps import EncodeClinical
from nonredundant.independence import (
    HSIC,
    CrossCovariance,
    DistanceCorrelation,
    MIDiscriminator,
    TotalCorrelation,
)
from nonredundant.lesions.scaler import FeatureScaler
from nonredundant.models.baselines import PatchPCA
from nonredundant.models.embedding import NonRedundantEmbedding
from nonredundant.models.kernel_ridge import KernelRidge
from nonredundant.models.residualiser import Residualiser
from nonredundant.patients import LesionGraphClassifier, LesionGraphSurvival, LesionPooling


class GraphOfTimes(LesionGraphSurvival):
    """`LesionGraphSurvival` for the labels of the checks."""

    def fit(self, X: Any, y: Any = None) -> GraphOfTimes:
        """Fit to times that are later for higher labels."""
        super().fit(X, _times(y))
        return self

    def score(self, X: Any, y: Any) -> float:
        """Compute the concordance with these times."""
        return super().score(X, _times(y))


def _times(y: Any) -> Any:
    """Return times, one in four censored; what is no label is left to the estimator."""
    if y is None or np.iscomplexobj(y):
        return y
    labels = np.asarray(y, dtype=float)
    times = np.empty(len(labels), dtype=[("event", bool), ("time", float)])
    times["event"], times["time"] = np.arange(len(labels)) % 4 < 3, 1 + labels - labels.min()
    return times


class CoxOfTimes(RidgeCox):
    """`RidgeCox` for the labels of the checks."""

    def fit(self, X: Any, y: Any = None) -> CoxOfTimes:
        """Fit to times that are later for higher labels."""
        super().fit(X, _times(y))
        return self


class FusionOfTimes(LateFusionOfTimes):
    """`LateFusionOfTimes` for the labels of the checks."""

    def fit(self, X: Any, y: Any = None) -> FusionOfTimes:
        """Fit to times that are later for higher labels."""
        super().fit(X, _times(y))
        return self


class DiscriminatorOfRows(MIDiscriminator):
    """`MIDiscriminator` whose two sides are the same matrix."""

    def fit(self, X: Any, y: Any = None) -> DiscriminatorOfRows:
        """Fit to each row paired with itself."""
        super().fit(X, X)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Estimate the probability that each row is paired with itself."""
        return super().predict_proba(X, X)

    def score(self, X: Any, y: Any = None) -> float:
        """Estimate the information that the rows have on themselves."""
        return super().score(X, X)


class ExtractorOfRows(RadiomicsExtractor):
    """`RadiomicsExtractor` whose images are the rows of a matrix."""

    def fit(self, X: Any, y: Any = None) -> ExtractorOfRows:
        """Fit to one image per row."""
        rows = validate_data(self, X)
        super().fit(_images(rows), y)
        self.n_features_in_ = rows.shape[1]
        del self.feature_names_in_
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Measure the image of each row."""
        rows = validate_data(self, X, reset=False)
        return np.asarray(super().transform(_images(rows)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.no_validation = True, False
        tags.input_tags.allow_nan = False
        return tags


def _images(rows: np.ndarray) -> pd.DataFrame:
    """Return a case table of images whose voxels repeat the numbers of a row."""
    mask = np.pad(np.ones((2, 2, 2), dtype=bool), 1)
    images = [np.resize(row, mask.shape) for row in rows]
    return pd.DataFrame({"image": images, "mask": [mask] * len(rows)})


#: A short training on the CPU.
NET = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
#: One cheap instance of every estimator with `fit(X, y)`.
ESTIMATORS = [
    NonRedundantCVAE(dlr_size=2, **NET),
    VAE(2, **NET),
    SepVAE(2, 2, **NET),
    ContrastiveVAE(2, 2, moment_matching=0.1, **NET),
    ContrastiveCVAE(2, **NET),
    MIDiscriminator(hidden_size=8, max_epochs=2, random_state=0),
    LesionPooling(["mean", "max"]),
    LesionGraphClassifier(hidden_size=4, heads=2, **NET),
    LesionGraphSurvival(hidden_size=4, heads=2, **NET),
    FeatureSetClassifier("HCR", classifier=LogisticRegression(), random_state=0),
    FeatureScaler(),
    BlockScaler(),
    PatchPCA(2, random_state=0),
    NonRedundantEmbedding(2),
    CalibratedMargin(LinearSVC()),
    RidgeCox(),
    RidgeLogistic(max_iter=500),
    CategoryIndicators(),
    SelectFeatures("mrmr", k=2),
    LateFusion([LogisticRegression(), LogisticRegression(C=0.1)]),
    LateFusionOfTimes([RidgeCox(), RidgeCox(alpha=0.1)]),
    NearestNeighbours(weights="distance", algorithm="brute"),
]
#: Those that need other input than the checks make, with a layer that converts it.
CONVERTED = [
    GraphOfTimes(hidden_size=4, heads=2, **NET),
    CoxOfTimes(),
    FusionOfTimes([RidgeCox(), RidgeCox(alpha=0.1)]),
    DiscriminatorOfRows(hidden_size=8, max_epochs=2, random_state=0),
    ExtractorOfRows(feature_classes=("shape",), patch_shape=None),
]
_TERM = "a term of the loss: `penalty` of two batches, no `fit`"
#: Those without `fit(X, y)`, of which only parameters can be checked, and why.
PARAMETERS_ONLY = {
    CrossCovariance(): _TERM,
    DistanceCorrelation(): _TERM,
    HSIC(): _TERM,
    TotalCorrelation(): _TERM,
    Residualiser(): "takes two matrices, features and latents",
    KernelRidge(): "`fit` takes the folds of the rows and returns what was predicted without them",
    Recorded(np.zeros(2)): "answers with stored predictions",
    RecordedNumbers(np.zeros(2)): "answers with stored predictions",
    EncodeClinical(["age"]): "takes lesions; it reads their samples, which a matrix has not",
    StableFeatures([]): "takes lesions and repeats of them, joined by labels that a matrix has not",
    Harmonise(): "takes lesions; it reads their centres in their samples, which a matrix has not",
    SelectHCR(Selection()): "takes lesions; its parameter is made for one comparison",
    FrozenEncoder(np.ravel): "takes lesions with patches and returns them",
    RadiomicsExtractor(): "takes case tables; converted above it passes the whole suite",
}

_PAIRS = "takes pairs of rows; the check passes one matrix (passed where this is both sides)"
_TIMES = "y is events and times; the check passes labels (passed where these are made times)"
_OF_LABELS = [
    "check_fit_score_takes_y",
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_estimators_fit_returns_self",
    "check_readonly_memmap_input",
    "check_n_features_in_after_fitting",
    "check_positive_only_tag_during_fit",
    "check_estimators_dtypes",
    "check_dtype_object",
    "check_pipeline_consistency",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_fit2d_1feature",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_n_features_in",
    "check_fit2d_predict1d",
]
#: Checks that cannot hold, by the name of the estimator, with the reason.
EXPECTED_FAILED_CHECKS: dict[str, dict[str, str]] = {
    "MIDiscriminator": {
        "check_fit_score_takes_y": "the two sides are called H and D; neither is a target",
        **dict.fromkeys(
            [
                "check_dict_unchanged",
                "check_estimators_dtypes",
                "check_estimators_pickle",
                "check_estimators_unfitted",
                "check_fit2d_predict1d",
                "check_fit_idempotent",
                "check_methods_sample_order_invariance",
                "check_methods_subset_invariance",
                "check_n_features_in_after_fitting",
            ],
            _PAIRS,
        ),
    },
    "LesionGraphSurvival": dict.fromkeys(_OF_LABELS, _TIMES),
    "RidgeCox": dict.fromkeys(
        [*_OF_LABELS, "check_estimators_nan_inf", "check_fit2d_1sample"], _TIMES
    ),
    "LateFusion": {
        "check_class_weight_classifiers": "weighs the classes of held-out scores; it passes none"
    },
    "LateFusionOfTimes": dict.fromkeys(
        [*_OF_LABELS, "check_estimators_nan_inf", "check_fit2d_1sample"], _TIMES
    ),
    "FeatureSetClassifier": {
        "check_classifier_data_not_an_array": "a DataFrame is a case table, never a matrix"
    },
}


def make_cohort(n: int = 32, *, several: bool = True, seed: int = 0) -> tuple[LesionTable, Any]:
    """Draw patients with one lesion, or with one to three, two features, an age and a label."""
    rng = np.random.default_rng(seed)
    sample = np.repeat(np.arange(n), 1 + np.arange(n) % 3 if several else 1)
    y = np.arange(n) // 2 % 2
    features = pd.DataFrame(
        {
            "original_a": rng.normal(size=len(sample)) + y[sample],
            "original_b": rng.gamma(2.0, size=len(sample)),
            "age": rng.normal(60, 10, size=n)[sample],
        }
    )
    patches = rng.normal(size=(len(sample), 1, 8, 8)) + 0.5 * y[sample, None, None, None]
    table = LesionTable(
        features,
        blocks={"age": "clinical"},
        patches=patches.astype(np.float32),
        sample=sample,
        positions=50 * rng.normal(size=(len(sample), 3)),
        index=[f"patient{i:02d}" for i in range(n)],
    )
    return table, y


def expected_failed_checks(estimator: Any) -> dict[str, str]:
    """Return the checks that an estimator cannot pass, with the reason."""
    return EXPECTED_FAILED_CHECKS.get(type(estimator).__name__, {})


def estimator_classes() -> set[type]:
    """Collect the estimators of the package: classes of which no other class of it is made."""
    found: set[type] = set()
    for module in pkgutil.walk_packages(nonredundant.__path__, "nonredundant."):
        members = vars(importlib.import_module(module.name)).values()
        classes = [one for one in members if isinstance(one, type)]
        found |= {
            one
            for one in classes
            if one.__module__.startswith("nonredundant.")
            and issubclass(one, BaseEstimator)
            and not issubclass(one, NeuralNet)
        }
    return {one for one in found if not any(one in other.__bases__ for other in found)}
