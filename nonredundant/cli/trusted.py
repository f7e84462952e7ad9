"""What a model file may hold: a list of classes, and the plain values that they are made of.

A class is on the list if nothing that its attributes can hold makes it run code, or read or write a
file, when the model is loaded or predicts. So there is no function and none that opens a file by a
name (`CountVectorizer`) or indexes memory without a check, except the trees, support vectors and
neighbours that `check_compiled` reads first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

#: The classes by the module that defines them. A class that moves is changed here and nowhere else.
_CLASSES: dict[str, tuple[str, ...]] = {
    "nonredundant.classifiers.block_scaler": ("BlockScaler",),
    "nonredundant.classifiers.calibrated_margin": ("CalibratedMargin",),
    "nonredundant.classifiers.cox": ("RidgeCox",),
    "nonredundant.classifiers.late_fusion": (
        "LateFusion",
        "LateFusionOfTimes",
    ),
    "nonredundant.classifiers.nearest_neighbours": ("NearestNeighbours",),
    "nonredundant.classifiers.ridge_logistic": ("RidgeLogistic",),
    "nonredundant.evaluation.classifier": ("FeatureSetClassifier",),
    "nonredundant.evaluation.predictor": ("Predictor",),
    "nonredundant.extraction.categories": ("CategoryIndicators",),
    "nonredundant.extraction.extractor": ("RadiomicsExtractor",),
    "nonredundant.folds.feature_sets": (
        "FeatureSet",
        "Variant",
    ),
    "nonredundant.folds.harmonise": ("Harmonise",),
    "nonredundant.folds.networks": ("PatchEncoder",),
    "nonredundant.folds.patient_level": ("PatientLevel",),
    "nonredundant.folds.representations": ("Representation",),
    "nonredundant.folds.select_features": ("SelectFeatures",),
    "nonredundant.folds.selection": (
        "SelectHCR",
        "Selection",
    ),
    "nonredundant.folds.stable_features": ("StableFeatures",),
    "nonredundant.folds.steps": ("EncodeClinical",),
    "nonredundant.independence.closed_form": (
        "CrossCovariance",
        "DistanceCorrelation",
        "HSIC",
    ),
    "nonredundant.independence.density_ratio": (
        "MIDiscriminator",
        "TotalCorrelation",
    ),
    "nonredundant.lesions.scaler": ("FeatureScaler",),
    "nonredundant.models.baselines": ("PatchPCA",),
    "nonredundant.models.cvae": ("NonRedundantCVAE",),
    "nonredundant.models.embedding": ("NonRedundantEmbedding",),
    "nonredundant.models.kernel_ridge": ("KernelRidge",),
    "nonredundant.models.residualiser": ("Residualiser",),
    "nonredundant.patients.classifier": ("LesionGraphClassifier",),
    "nonredundant.patients.pooling": ("LesionPooling",),
    "nonredundant.patients.survival": ("LesionGraphSurvival",),
    # Clinical columns, and classifiers of the user's own.
    # The loss of gradient boosting, of which the link between scores and probabilities is used.
    "sklearn._loss.link": (
        "Interval",
        "LogitLink",
        "MultinomialLogit",
    ),
    "sklearn._loss.loss": (
        "HalfBinomialLoss",
        "HalfMultinomialLoss",
    ),
    "sklearn.calibration": (
        "CalibratedClassifierCV",
        "_CalibratedClassifier",
        "_SigmoidCalibration",
    ),
    "sklearn.compose._column_transformer": (
        "ColumnTransformer",
        "make_column_selector",
    ),
    "sklearn.decomposition._pca": ("PCA",),
    "sklearn.decomposition._truncated_svd": ("TruncatedSVD",),
    "sklearn.discriminant_analysis": (
        "LinearDiscriminantAnalysis",
        "QuadraticDiscriminantAnalysis",
    ),
    "sklearn.dummy": ("DummyClassifier",),
    "sklearn.ensemble._forest": (
        "ExtraTreesClassifier",
        "RandomForestClassifier",
    ),
    "sklearn.ensemble._gb": ("GradientBoostingClassifier",),
    "sklearn.ensemble._stacking": ("StackingClassifier",),
    "sklearn.ensemble._voting": ("VotingClassifier",),
    "sklearn.feature_selection._variance_threshold": ("VarianceThreshold",),
    "sklearn.frozen._frozen": ("FrozenEstimator",),
    "sklearn.impute._base": (
        "MissingIndicator",
        "SimpleImputer",
    ),
    "sklearn.impute._knn": ("KNNImputer",),
    "sklearn.linear_model._base": ("LinearRegression",),
    "sklearn.linear_model._logistic": (
        "LogisticRegression",
        "LogisticRegressionCV",
    ),
    "sklearn.linear_model._ridge": (
        "Ridge",
        "RidgeClassifier",
        "RidgeClassifierCV",
    ),
    "sklearn.naive_bayes": ("GaussianNB",),
    "sklearn.pipeline": (
        "FeatureUnion",
        "Pipeline",
    ),
    "sklearn.preprocessing._data": (
        "Binarizer",
        "MaxAbsScaler",
        "MinMaxScaler",
        "Normalizer",
        "PowerTransformer",
        "QuantileTransformer",
        "RobustScaler",
        "StandardScaler",
    ),
    "sklearn.preprocessing._discretization": ("KBinsDiscretizer",),
    "sklearn.preprocessing._encoders": (
        "OneHotEncoder",
        "OrdinalEncoder",
    ),
    # It stands for "passthrough"; without functions in the file it can call none.
    "sklearn.preprocessing._function_transformer": ("FunctionTransformer",),
    "sklearn.preprocessing._label": (
        "LabelBinarizer",
        "LabelEncoder",
    ),
    "sklearn.preprocessing._polynomial": ("PolynomialFeatures",),
    "sklearn.preprocessing._target_encoder": ("TargetEncoder",),
    "sklearn.svm._classes": (
        "LinearSVC",
        "NuSVC",
        "SVC",
    ),
    "sklearn.tree._classes": (
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreeClassifier",
    ),
    # Samplers act in `fit` only, but are parameters of a model.
    "imblearn.over_sampling._random_over_sampler": ("RandomOverSampler",),
    "imblearn.over_sampling._smote.base": ("SMOTE",),
    "imblearn.pipeline": ("Pipeline",),
    "imblearn.under_sampling._prototype_selection._random_under_sampler": ("RandomUnderSampler",),
    # Times to an event.
    "sksurv.ensemble.forest": ("RandomSurvivalForest",),
    "sksurv.functions": ("StepFunction",),
    "sksurv.linear_model.coxnet": ("CoxnetSurvivalAnalysis",),
    "sksurv.linear_model.coxph": (
        "BreslowEstimator",
        "CoxPHSurvivalAnalysis",
    ),
    "sksurv.tree.tree": ("SurvivalTree",),
}
#: Their full names.
TRUSTED_CLASSES = frozenset(
    f"{module}.{name}" for module, names in _CLASSES.items() for name in names
)
_SCALARS = frozenset(
    {"numpy.bool_", *(f"numpy.{np.dtype(code).type.__name__}" for code in "?bBhHiIlLqQefdU")}
)
#: Types of keys and columns.
_TYPES = frozenset(
    {
        "builtins.bool",
        "builtins.float",
        "builtins.int",
        "builtins.object",
        "builtins.str",
        "numpy.number",
        "numpy.object_",
    }
)
#: What skops stores of a function, which is imported and may then be called.
_FUNCTIONS = frozenset({"FunctionNode", "MethodNode", "OperatorFuncNode", "PartialNode"})
#: Keys that every node has.
_OF_A_NODE = ("__class__", "__loader__", "__module__")
_MOST_NAMED = 5


#: What each node of a file may be, by the name that skops gives to its loader.
TRUSTED = {
    "ObjectNode": TRUSTED_CLASSES,
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "LossNode": frozenset(
        {
            "sklearn._loss._loss.CyHalfBinomialLoss",
            "sklearn._loss._loss.CyHalfMultinomialLoss",
        }
    ),
    "DictNode": frozenset({"builtins.dict", "sklearn.utils._bunch.Bunch"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "SetNode": frozenset({"builtins.set"}),
    "SliceNode": frozenset({"builtins.slice"}),
    "JsonNode": frozenset({"builtins.str"}),
    "TypeNode": _TYPES | _SCALARS,
    "NdArrayNode": _SCALARS | {"numpy.ndarray"},
    "DTypeNode": frozenset({"numpy.dtype"}),
    "RandomStateNode": frozenset({"numpy.random.mtrand.RandomState"}),
}


def refused(schema: Any) -> list[str]:
    """List what the schema of a file names beyond the list, before anything of it is imported.

    Every object of the JSON is read, wherever it stands, so that nothing depends on which of them
    skops would build.

    Parameters
    ----------
    schema : dict
        The content of `schema.json`.

    Returns
    -------
    list of str
        A few words on each; empty if there is nothing to refuse.

    Raises
    ------
    ValueError
        If an entry is no node.
    """
    found: dict[str, None] = {}
    for node in _nodes(schema):
        if not all(isinstance(node.get(key), str) for key in _OF_A_NODE):
            raise ValueError(f"an entry of its schema lacks one of {', '.join(_OF_A_NODE)}")
        loader = node["__loader__"]
        name = f"{node['__module__']}.{node['__class__']}"
        if name not in TRUSTED.get(loader, ()):
            what = "function" if loader in _FUNCTIONS else "class"
            found[f"{what} {name}"] = None
    listed = list(found)
    more = len(listed) - _MOST_NAMED
    return [*listed[:_MOST_NAMED], f"{more} more"] if more > 0 else listed


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON text that skops may take for a node."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if not value.keys().isdisjoint(_OF_A_NODE):
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
