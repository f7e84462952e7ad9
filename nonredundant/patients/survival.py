"""`LesionGraphSurvival`: risk of an event from the graph of lesions."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.labels import align
from nonredundant.nn.estimator import TrainingPlan
from nonredundant.patients.base import GRAPH_CONSTRAINTS, PatientGraphEstimator, Patients
from nonredundant.statistics.survival import (
    baseline_hazard,
    check_survival,
    concordance_index,
    describe_uncensored,
    null_residuals,
)
from nonredundant.utils.context import unchanged_on_failure
from nonredundant.utils.optional import import_optional
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import Interval


class LesionGraphSurvival(PatientGraphEstimator):
    """Predict times to an event from the graph of lesions and clinical variables.

    The graph of `LesionGraphClassifier` with one output, the log hazard of Cox's proportional
    hazards model, trained by the partial likelihood (a network as risk: Katzman et al. 2018,
    DeepSurv, doi 10.1186/s12874-018-0482-1). The graph is after Thiery et al. (MICCAI 2023,
    arXiv 2310.16863); it needs torch-geometric (`pip install "nonredundant[graph]"`).

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
        those within `radius`.
    n_neighbors : int, default=32
        Number of neighbours of a lesion with `edges="knn"`.
    radius : float, default=100.0
        Largest distance in mm with `edges="radius"`.
    clinical : {"cross-attention", "concat", "none"}, default="cross-attention"
        How clinical variables enter the prediction: beside the readout and as tokens that
        lesions attend to, beside the readout alone, or not at all.
    readout : {"attention", "mean", "max"}, default="attention"
        How the lesions of a patient are pooled to one vector.
    dropout : float, default=0.2
        Dropout rate of the features of lesions and of hidden units, in training of the attention.
    max_epochs : int, default=300
        Largest number of passes over the training patients.
    batch_size : int, default=128
        Largest number of patients per step, at least 2; batches have equal sizes. The risk set of
        an event is within its batch.
    lr : float, default=3e-3
        Learning rate of AdamW.
    validation_fraction : float, default=0.2
        Fraction of the patients held out for early stopping, the same of those with and without an
        event; 0 trains for `max_epochs`.
    patience : int or None, default=30
        Epochs without a better partial likelihood of the held-out patients after which training
        stops and the best weights are restored; None never stops.
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
    unique_times_ : array of shape (n_times,)
        Sorted times of events and of censoring at `fit`.
    cum_baseline_hazard_ : array of shape (n_times,)
        Cumulative hazard of a patient with risk 0 at these times (Breslow 1972).
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
    LesionGraphClassifier : The same graph for classes.
    nonredundant.statistics.compare_concordance : Compares the concordances of two risks.

    Notes
    -----
    As in `LesionGraphClassifier`, graph attention and cross-attention are kept only if they clearly
    lower the loss of the held-out patients.

    Hazards are proportional: the ratio of two hazards is the same at all times. The baseline hazard
    is estimated on the training patients, which the net fits better than new ones. If it overfits,
    the survival functions of new patients are too spread out.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from nonredundant import LesionTable
    >>> from nonredundant.patients import LesionGraphSurvival
    >>> rng = np.random.default_rng(0)
    >>> sample = np.repeat(np.arange(30), 3)
    >>> uptake = rng.normal(size=90)
    >>> y = np.empty(30, dtype=[("relapse", bool), ("months", float)])
    >>> y["months"] = rng.exponential(12 / np.exp(uptake.reshape(30, 3).max(axis=1)))
    >>> y["relapse"] = rng.random(30) < 0.7
    >>> table = LesionTable(
    ...     pd.DataFrame({"uptake": uptake}), sample=sample, positions=rng.normal(size=(90, 3))
    ... )
    >>> graph = LesionGraphSurvival(max_epochs=5, random_state=0, device="cpu").fit(table, y)
    >>> graph.predict(table).shape
    (30,)
    >>> survival = graph.predict_survival_function(table, return_array=True)
    >>> bool((np.diff(survival, axis=1) <= 0).all())
    True
    """

    _parameter_constraints = {
        **GRAPH_CONSTRAINTS,
        "batch_size": [Interval(Integral, 2, None, closed="left")],
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
        max_epochs: int = 300,
        batch_size: int = 128,
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
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.device = device
        self.random_state = random_state
        self.net_params = net_params
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> LesionGraphSurvival:
        """Train the graph on a cohort of patients.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The lesions with their positions; the block "clinical" has one value per patient. A
            row of a matrix is a patient with one lesion.
        y : structured array or DataFrame of shape (n_samples,)
            A field of booleans, True if the event was observed and False if the patient was
            censored, and a field of floats, the time until then, as returned by
            `sksurv.util.Surv.from_arrays`.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If y has a wrong form or length, a time is not a positive number or no patient had the
            event; if positions are needed and missing; if a clinical variable differs between
            lesions of one patient.
        FloatingPointError
            If the loss is not finite; the message names the epoch.
        """
        self._check_parameters()
        with unchanged_on_failure(self):
            patients = self._read(X, reset=True)
            plan = self._plan(patients, align(y, X, "y"))
            event, time = plan.labels[:, 0] > 0, plan.labels[:, 1]
            self._train(patients, plan, strata=event)
            risk = self._outputs(patients)[0][:, 0].astype(np.float64)
            # The partial likelihood does not determine the level of the risk.
            self._level = float(risk.mean())
            found = baseline_hazard(event, time, risk - self._level)
            self.unique_times_, self.cum_baseline_hazard_ = found
        return self

    def _plan(self, inputs: Patients, y: Any) -> TrainingPlan:
        from nonredundant.nn.graph_training import CoxLoss

        n = inputs.table.n_samples
        if n < 2:
            raise ValueError(f"n_samples = {n}: an order of times needs two patients or more")
        try:
            event, time = check_survival(y, n)
        except ValueError as error:
            if y is not None:
                raise
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: {error}"
            ) from error
        if uncensored := describe_uncensored(event):
            warn_user(uncensored, kind="nobody censored")
        self._check_held_out(int(event.sum()))
        targets = null_residuals(event, time)[:, None]
        return self._graph_plan(inputs, np.column_stack([event, time]), CoxLoss(), targets)

    def _check_held_out(self, n_events: int) -> None:
        """Check that the patients held out for early stopping include an event."""
        stops = self.validation_fraction > 0 and self.patience is not None
        if stops and round(self.validation_fraction * n_events) < 1:
            raise ValueError(
                f"with {n_events} events, validation_fraction={self.validation_fraction:g} holds "
                "out no event for early stopping; raise it, or set it to 0 to train for max_epochs"
            )

    def _batches(self, n_train: int) -> dict[str, int]:
        """Return skorch's arguments for the number of patients per batch."""
        # A batch is a random subcohort, so that its partial likelihood has the same optimum as
        # that of all patients. Its risk sets are smaller, and with few patients per batch most of
        # the information is lost. With all patients in one batch none is lost, but an epoch is
        # one step, and early stopping ends the training before the attention is learned. Batches
        # have equal sizes, because an event in a last batch of two patients would change the
        # weights as much as any other.
        n_batches = -(-n_train // self.batch_size)
        # The held-out patients are always evaluated in one batch.
        return {"batch_size": -(-n_train // n_batches), "iterator_valid__batch_size": -1}

    def predict(self, X: Any) -> np.ndarray:
        """Predict the risk of each patient: the log hazard relative to the mean at `fit`.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The patients.

        Returns
        -------
        array of shape (n_samples,)
            The risks; higher for earlier events.
        """
        return self._logits(X)[:, 0] - self._level

    def predict_cumulative_hazard_function(self, X: Any, return_array: bool = False) -> np.ndarray:
        """Predict the cumulative hazard of each patient at `unique_times_`.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The patients.
        return_array : bool, default=False
            Whether to return values instead of functions.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_times)
            Functions of time (`sksurv.functions.StepFunction`), or their values.

        Raises
        ------
        ImportError
            If functions are requested and scikit-survival is not installed.
        """
        check_is_fitted(self, "net_")
        hazard = np.exp(self.predict(X))[:, None] * self.cum_baseline_hazard_
        return hazard if return_array else self._functions(hazard)

    def predict_survival_function(self, X: Any, return_array: bool = False) -> np.ndarray:
        """Predict the probability of each patient of no event until `unique_times_`.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The patients.
        return_array : bool, default=False
            Whether to return values instead of functions.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_times)
            Functions of time (`sksurv.functions.StepFunction`), or their values.

        Raises
        ------
        ImportError
            If functions are requested and scikit-survival is not installed.
        """
        survival = np.exp(-self.predict_cumulative_hazard_function(X, return_array=True))
        return survival if return_array else self._functions(survival)

    def _functions(self, values: np.ndarray) -> np.ndarray:
        """Return one step function of time per row."""
        sksurv = import_optional(
            "sksurv.functions", extra="survival", purpose="a function of time (return_array=False)"
        )
        functions = np.empty(len(values), dtype=object)
        functions[:] = [sksurv.StepFunction(self.unique_times_, row) for row in values]
        return functions

    def score(self, X: Any, y: Any) -> float:
        """Compute Harrell's concordance index of the risks.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The patients.
        y : structured array or DataFrame of shape (n_samples,)
            As at `fit`.

        Returns
        -------
        float
            0.5 by chance, 1 if all comparable pairs are in the right order.
        """
        risk = self.predict(X)
        return concordance_index(*check_survival(y, len(risk)), risk)

    def __sklearn_tags__(self) -> Any:
        """Declare that a target is required."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
