"""`LesionGraphClassifier`: classification of patients by the graph of their lesions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from nonredundant.lesions.labels import align, check_unlabelled
from nonredundant.nn.estimator import TrainingPlan
from nonredundant.patients.base import GRAPH_CONSTRAINTS, PatientGraphEstimator, Patients
from nonredundant.statistics.survival import check_classes
from nonredundant.utils.context import unchanged_on_failure
from nonredundant.utils.validation import StrOptions


class LesionGraphClassifier(ClassifierMixin, PatientGraphEstimator):
    """Classify patients by the graph of their lesions and their clinical variables.

    Each lesion is a node with its features; each edge has the distance between two lesions. A
    readout weighs the lesions of a patient and pairs of them, and a sparse regression predicts
    from the weighted means and the clinical variables. Attention of lesions to the clinical
    variables and to each other (GATv2) can add to this. After Thiery et al. (MICCAI 2023, arXiv
    2310.16863); needs torch-geometric (`pip install "nonredundant[graph]"`).

    Parameters
    ----------
    hidden_size : int, default=16
        Size of the vector of a lesion; a multiple of `heads`.
    n_layers : int, default=1
        Number of layers of attention between lesions; with 0 lesions do not interact.
    heads : int, default=4
        Number of attention heads.
    edges : {"knn", "complete", "radius"}, default="knn"
        Which lesions of a patient are connected: each with its `n_neighbors` nearest, all, or
        those within `radius`. Memory grows linearly with the number of lesions of a patient for
        "knn" and quadratically for "complete".
    n_neighbors : int, default=32
        Number of neighbours of a lesion with `edges="knn"`. With 32, graphs of up to 33 lesions are
        complete.
    radius : float, default=100.0
        Largest distance in mm with `edges="radius"`.
    clinical : {"cross-attention", "concat", "none"}, default="cross-attention"
        How clinical variables enter the prediction: beside the readout and as tokens that
        lesions attend to, beside the readout alone, or not at all.
    readout : {"attention", "mean", "max"}, default="attention"
        How the lesions of a patient are pooled to one vector.
    dropout : float, default=0.2
        Dropout rate of the features of lesions and of hidden units, in training of the attention.
    class_weight : "balanced", dict or None, default=None
        Weights of the classes in the loss, as in scikit-learn.
    max_epochs : int, default=300
        Largest number of passes over the training patients.
    batch_size : int, default=32
        Patients per step.
    lr : float, default=3e-3
        Learning rate of AdamW.
    validation_fraction : float, default=0.2
        Fraction of the patients held out for early stopping; 0 trains for `max_epochs`. At the
        end the regression is fitted to all patients.
    patience : int or None, default=30
        Epochs without a better loss on the held-out patients after which training stops and the
        best weights are restored; None never stops.
    device : str, default="auto"
        "auto" uses CUDA if a GPU is available.
    random_state : int, RandomState or None, default=None
        Seed of the split, the initial weights and the batches.
    net_params : dict or None, default=None
        Further training options: `callbacks`, a list of skorch callbacks;
        `optimizer__weight_decay`, weight decay of AdamW, 1e-2 by default; any other argument of
        `skorch.NeuralNet`.
    verbose : int, default=0
        0 shows a progress bar on a terminal or in a notebook after two seconds; 1 prints one
        line per epoch.

    Attributes
    ----------
    classes_ : array
        The classes.
    net_ : skorch.NeuralNet
        The trained net; `net_.module_` is the torch module.
    history_ : DataFrame
        One row per epoch: `total`, the training loss, and `valid_total`.
    lesion_scaler_, clinical_scaler_ : FeatureScaler
        Scalers that impute, rank and clip the features of lesions and the clinical variables.
    feature_names_in_ : array of str
        Columns of the table at `fit`.
    n_features_in_ : int
        Number of these columns.

    See Also
    --------
    LesionPooling : Baseline without relations between lesions.
    LesionGraphSurvival : The same graph for times to an event.

    Notes
    -----
    Predictions do not depend on the order of lesions, nor on the position and orientation of the
    patient: positions enter only as distances.

    Graph attention and cross-attention are kept only if they lower the loss on the held-out
    patients by more than two standard errors of that gain; otherwise they add nothing. With
    `validation_fraction=0` they are always kept. See docs/maths.md.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable
    >>> from nonredundant.patients import LesionGraphClassifier
    >>> rng = np.random.default_rng(0)
    >>> sample = np.repeat(np.arange(30), 3)
    >>> uptake = rng.normal(size=90)
    >>> y = np.array([uptake[sample == i].max() > 0.8 for i in range(30)])
    >>> table = LesionTable(
    ...     pd.DataFrame({"uptake": uptake}), sample=sample, positions=rng.normal(size=(90, 3))
    ... )
    >>> graph = LesionGraphClassifier(max_epochs=5, random_state=0, device="cpu").fit(table, y)
    >>> graph.predict_proba(table).shape
    (30, 2)
    >>> weights = graph.explain(table).query("kind == 'lesion'").groupby("sample")["weight"].sum()
    >>> bool(np.allclose(weights, 1))
    True
    """

    _parameter_constraints = {
        **GRAPH_CONSTRAINTS,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        hidden_size: int = 16,
        *,
        n_layers: int = 1,
        heads: int = 4,
        edges: str = "knn",
        n_neighbors: int = 32,
        radius: float = 100.0,
        clinical: str = "cross-attention",
        readout: str = "attention",
        dropout: float = 0.2,
        class_weight: Any = None,
        max_epochs: int = 300,
        batch_size: int = 32,
        lr: float = 3e-3,
        validation_fraction: float = 0.2,
        patience: int | None = 30,
        device: str = "auto",
        random_state: Any = None,
        net_params: dict[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.heads = heads
        self.edges = edges
        self.n_neighbors = n_neighbors
        self.radius = radius
        self.clinical = clinical
        self.readout = readout
        self.dropout = dropout
        self.class_weight = class_weight
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.random_state = random_state
        self.net_params = net_params
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> LesionGraphClassifier:
        """Train the graph on a cohort of patients.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The lesions with their positions; the block "clinical" has one value per patient. A
            row of a matrix is a patient with one lesion.
        y : array-like of shape (n_samples,)
            The classes of the patients, none missing (NaN, or -1 beside two others). A Series is
            aligned by its index.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If y has one class, a wrong length or missing values; if positions are needed and
            missing; if a clinical variable differs between lesions of one patient.
        FloatingPointError
            If the loss is not finite; the message names the epoch.
        """
        self._check_parameters()
        with unchanged_on_failure(self):
            patients = self._read(X, reset=True)
            plan = self._plan(patients, align(y, X, "y"))
            self._train(patients, plan, strata=plan.labels)
        return self

    def _plan(self, inputs: Patients, y: Any) -> TrainingPlan:
        from nonredundant.nn.graph_training import ClassLoss

        classes, codes = self._encode(y, inputs.table.n_samples)
        weights = compute_class_weight(self.class_weight, classes=classes, y=classes[codes])
        targets = np.eye(len(classes))[codes]
        return self._graph_plan(inputs, codes, ClassLoss(weights), targets, classes=classes)

    def _encode(self, y: Any, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Check the labels; return the classes and the class position of each patient."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        check_classes(y, "use LesionGraphSurvival for times")
        labels = column_or_1d(y, warn=True)
        if len(labels) != n_samples:
            raise ValueError(f"y has {len(labels)} labels but there are {n_samples} patients")
        missing = pd.isna(labels)
        if missing.any():
            raise ValueError(
                f"y has {missing.sum()} missing labels (NaN); leave these patients out, the "
                "classifier needs the label of every patient"
            )
        assert_all_finite(labels, input_name="y")
        check_unlabelled(labels, "y")
        check_classification_targets(labels)
        classes, codes = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"y holds one class ({classes.tolist()}) in {n_samples} patients; a "
                "classifier needs two or more"
            )
        return classes, codes

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute scores: the log odds of the second of two classes, else one score per class.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The patients.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
            The scores.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Any) -> np.ndarray:
        """Compute the probability of each class.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The patients.

        Returns
        -------
        array of shape (n_samples, n_classes)
            The probabilities, in the order of `classes_`.
        """
        return softmax(self._logits(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The patients.

        Returns
        -------
        array of shape (n_samples,)
            The classes.
        """
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]
