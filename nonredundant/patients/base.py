"""Base class of the estimators on lesion graphs: reading, training, attention."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.blocks import LEFT_OUT
from nonredundant.lesions.edges import LesionEdges, lesion_edges
from nonredundant.lesions.features import constant_columns, read_table
from nonredundant.lesions.scaler import FeatureScaler
from nonredundant.lesions.table import LesionTable
from nonredundant.nn.estimator import NET_CONSTRAINTS, NetworkEstimator, TrainingPlan
from nonredundant.patients.relevance import starting_relevance, unexplained
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import Interval, StrOptions

#: Number of patients that are predicted at once.
CHUNK = 64
#: Constraints of the parameters that the graph estimators share.
GRAPH_CONSTRAINTS: dict[str, Any] = {
    **NET_CONSTRAINTS,
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "n_layers": [Interval(Integral, 0, None, closed="left")],
    "heads": [Interval(Integral, 1, None, closed="left")],
    "edges": [StrOptions({"complete", "knn", "radius"})],
    "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    "radius": [Interval(Real, 0, None, closed="neither")],
    "clinical": [StrOptions({"cross-attention", "concat", "none"})],
    "readout": [StrOptions({"attention", "mean", "max"})],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "patience": [Interval(Integral, 1, None, closed="left"), None],
}


@dataclass(frozen=True)
class Patients:
    """Input of the network: lesions, clinical variables and edges."""

    table: LesionTable
    nodes: np.ndarray
    clinical: np.ndarray
    edges: LesionEdges


class PatientGraphEstimator(NetworkEstimator):
    """Base class that reads, trains and explains; a subclass interprets the outputs."""

    hidden_size: int
    n_layers: int
    heads: int
    edges: str
    n_neighbors: int
    radius: float
    clinical: str
    readout: str
    dropout: float
    batch_size: int
    validation_fraction: float
    patience: int | None

    def _check_parameters(self) -> None:
        """Check the range of each parameter, and that `heads` divides `hidden_size`."""
        self._validate_params()  # type: ignore[attr-defined]
        if self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} must be a multiple of heads={self.heads}"
            )

    # Reading -------------------------------------------------------------------------------

    def _read(self, X: Any, *, reset: bool) -> Patients:
        """Return the patients of a table, or of a matrix with one lesion per row."""
        if not reset:
            self._check_blocks(X)
        table = read_table(self, X, reset=reset)
        clinical_names = constant_columns(table)
        edges = lesion_edges(table, self.edges, self.n_neighbors, self.radius)
        starts = np.searchsorted(table.sample, np.arange(table.n_samples))
        # Given embeddings are features of the lesions, as hand-crafted ones are.
        lesions = table.features.drop(columns=[*clinical_names, *table.columns_of(LEFT_OUT)])
        clinical = table.features[clinical_names].iloc[starts]
        if reset:
            self._is_matrix = not isinstance(X, LesionTable)
            self.lesion_scaler_ = FeatureScaler().fit(lesions)
            self.clinical_scaler_ = FeatureScaler().fit(clinical)
            _warn_missing(lesions, "lesions")
            _warn_missing(clinical, "patients")
        # Double precision makes results independent of the batch, at little cost for a matrix.
        dtype = np.float64 if self._is_matrix else np.float32
        nodes = self.lesion_scaler_.transform(lesions).astype(dtype)
        if not nodes.shape[1]:
            nodes = np.ones((len(nodes), 1), dtype=dtype)
        return Patients(
            table, nodes, self.clinical_scaler_.transform(clinical).astype(dtype), edges
        )

    def _check_blocks(self, X: Any) -> None:
        """Raise if X does not tell clinical variables from features of lesions as at `fit`."""
        # Missing columns are named by `read_table`.
        clinical = list(self.clinical_scaler_.columns_)
        if isinstance(X, LesionTable):
            kinds = dict.fromkeys(self.lesion_scaler_.columns_, "hcr")
            kinds |= dict.fromkeys(clinical, "clinical")
            now = {name: X.blocks.get(name, kind) for name, kind in kinds.items()}
            moved = [n for n in kinds if (now[n] == "clinical") != (kinds[n] == "clinical")]
            if moved:
                raise ValueError(
                    f"{len(moved)} columns are in another block than at fit: {moved[:5]}; move "
                    f"them by table.replace(blocks={{{moved[0]!r}: {kinds[moved[0]]!r}, ...}})"
                )
        elif clinical:
            raise ValueError(
                f"{type(self).__name__} was fitted on a LesionTable with the clinical variables "
                f"{clinical[:5]}, which X, of type {type(X).__name__}, does not tell from features "
                "of lesions: give a LesionTable. Functions that turn it to an array, such as "
                "permutation_importance, need a model that was fitted on "
                "LesionPooling().fit_transform(table)"
            )

    # Training ------------------------------------------------------------------------------

    def _train(self, patients: Patients, plan: TrainingPlan, strata: np.ndarray) -> None:
        """Train the network with early stopping on held-out patients, stratified by `strata`."""
        from nonredundant.nn.batches import PatientDataset
        from nonredundant.nn.graph_regression import train_graph

        rng = check_random_state(self.random_state)
        held = hold_out(strata, self.validation_fraction, rng)
        rows, everyone = np.flatnonzero(~held), np.arange(len(held))
        parts = (
            patients.nodes,
            plan.conditions,
            patients.table.sample,
            patients.edges,
            plan.labels,
        )
        train = PatientDataset(*parts, rows)
        valid = PatientDataset(*parts, np.flatnonzero(held)) if held.any() else None
        self._fit_net(
            plan,
            train,
            valid,
            lambda: self._start(patients, plan.targets, rows),
            rng.randint(2**31 - 1),
            fit=lambda net: train_graph(net, train, valid, PatientDataset(*parts, everyone)),
        )

    def _graph_plan(
        self, patients: Patients, labels: np.ndarray, loss: Any, targets: np.ndarray, **more: Any
    ) -> TrainingPlan:
        """Return the plan of a graph with one output per column of the targets.

        Parameters
        ----------
        patients : Patients
            The patients.
        labels : array of shape (n_patients, ...)
            Labels of the loss.
        loss : callable
            Function of (outputs, labels) that returns a scalar.
        targets : array of shape (n_patients, n_outputs)
            Numbers whose association with the features sets the initial attention.
        **more
            Further parts of the plan.
        """
        spec = {
            "n_features": patients.nodes.shape[1],
            "n_clinical": patients.clinical.shape[1],
            "n_outputs": targets.shape[1],
            "hidden_size": self.hidden_size,
            "n_layers": self.n_layers,
            "heads": self.heads,
            "clinical": self.clinical,
            "readout": self.readout,
            "dropout": float(self.dropout),
        }
        return TrainingPlan(
            spec,
            patients.clinical,
            labels,
            terms={"loss": loss},
            targets=targets,
            **more,
        )

    def _start(self, patients: Patients, targets: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the arrays of the network that depend on the training patients."""
        from nonredundant.nn.graph import SHARPNESS

        arrays = {"basis.scale": np.asarray(_distance_scale(patients.edges))}
        if self.readout == "attention":
            parts = (patients.nodes, patients.table.sample, patients.edges)
            known = patients.clinical if self.clinical != "none" else patients.clinical[:, :0]
            left = unexplained(targets, known, rows)
            relevance = starting_relevance(*parts, left, rows, SHARPNESS)
            arrays["readout.own.weight"] = relevance[None]
        return arrays

    def _module_class(self) -> type:
        from nonredundant.nn.graph import LesionGraphNet

        return LesionGraphNet

    def _double(self, spec: Any) -> bool:
        return self._is_matrix

    def _build_net(
        self, module: Any, plan: TrainingPlan, valid: Any, n_rows: int, seed: int
    ) -> Any:
        """Build the untrained net, with early stopping if patients are held out."""
        from nonredundant.nn.graph_training import GraphNet, early_stopping
        from nonredundant.nn.net import build_net, resolve_device

        patience = None if valid is None else self.patience
        return build_net(
            GraphNet,
            module,
            valid=valid,
            options=self._net_options(),
            callbacks=[] if patience is None else [early_stopping(patience)],
            loss=plan.terms["loss"],
            max_epochs=self.max_epochs,
            lr=self.lr,
            optimizer__weight_decay=1e-2,
            device=resolve_device(self.device),
            verbose=int(self.verbose),
            **self._batches(n_rows),
        )

    def _batches(self, n_train: int) -> dict[str, int]:
        """Return skorch's arguments for the number of patients per batch."""
        return {"batch_size": self.batch_size}

    # Prediction ----------------------------------------------------------------------------

    def _outputs(self, patients: Patients) -> tuple[np.ndarray, ...]:
        """Compute logits and the attention by lesion, edge and clinical variable."""
        from nonredundant.nn.batches import PatientDataset
        from nonredundant.nn.graph_training import outputs

        n = patients.table.n_samples
        dataset = PatientDataset(
            patients.nodes,
            patients.clinical,
            patients.table.sample,
            patients.edges,
            np.zeros(n),
            np.arange(n),
        )
        parts = outputs(self.net_, dataset, CHUNK)
        return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))

    def _logits(self, X: Any) -> np.ndarray:
        """Compute the outputs of the network, one row per patient."""
        check_is_fitted(self, "net_")
        return self._outputs(self._read(X, reset=False))[0].astype(np.float64)

    def explain(self, X: Any) -> pd.DataFrame:
        """Return the attention weights by lesion, edge and clinical variable.

        Attention shows what a prediction was computed from, not what caused the outcome.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The patients.

        Returns
        -------
        DataFrame
            One row per lesion, edge or variable of a patient, with the columns `sample` (the
            label of the patient), `kind`, `lesion` (0, 1, … within the patient), `other` (the
            second lesion of an edge), `variable`, `distance` (mm, of an edge) and `weight`. Kinds
            are "lesion", "edge" (the weight of a pair of lesions in the readout, in both
            directions), "message" (the attention of `lesion` to `other` in the graph attention,
            including itself) and "clinical" (the attention of the lesions to a variable; with
            cross-attention). Weights sum to one over the lesions, edges and variables of a
            patient, and over the messages to a lesion.
        """
        check_is_fitted(self, "net_")
        patients = self._read(X, reset=False)
        _logits, lesion, pair, message, clinical = self._outputs(patients)
        table, edges = patients.table, patients.edges
        number = np.arange(table.n_lesions) - np.searchsorted(table.sample, table.sample)
        labels = table.index.take(table.sample)
        by_lesion = {"sample": labels, "lesion": number, "weight": lesion}
        by_edge = {
            "sample": labels.take(edges.target),
            "lesion": number[edges.target],
            "other": number[edges.source],
            "distance": edges.distance,
        }
        links = pd.DataFrame(by_edge)
        pairs = links.assign(kind="edge", weight=pair)[edges.source != edges.target]
        frames = [pd.DataFrame(by_lesion).assign(kind="lesion"), pairs]
        if self.n_layers:
            frames.append(links.assign(kind="message", weight=message))
        if clinical.shape[1]:
            starts = np.searchsorted(table.sample, np.arange(table.n_samples))
            weights = np.add.reduceat(clinical * lesion[:, None], starts)
            names = self.clinical_scaler_.columns_
            by_variable = {
                "sample": np.repeat(table.index, len(names)),
                "variable": np.tile(np.asarray(names, dtype=object), table.n_samples),
                "weight": weights.ravel(),
            }
            frames.append(pd.DataFrame(by_variable).assign(kind="clinical"))
        columns = ["sample", "kind", "lesion", "other", "variable", "distance", "weight"]
        whole = dict.fromkeys(("lesion", "other"), "Int64")
        parts = [
            frame.reindex(columns=columns).astype(whole | {"distance": float}) for frame in frames
        ]
        # Columns that a kind lacks are all missing and need the type of the other kinds.
        parts = [part.astype({"variable": object, "weight": float}) for part in parts]
        return pd.concat(parts, ignore_index=True)

    def __sklearn_tags__(self) -> Any:
        """Declare that missing values are allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def hold_out(strata: np.ndarray, fraction: float, rng: np.random.RandomState) -> np.ndarray:
    """Choose the patients to hold out: the same fraction of each stratum, but never all of it."""
    held = np.zeros(len(strata), dtype=bool)
    for stratum in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        held[members[: min(int(round(fraction * len(members))), len(members) - 1)]] = True
    return held


def _distance_scale(edges: LesionEdges) -> float:
    """Compute the mean distance between connected lesions, in mm."""
    far = edges.distance[edges.distance > 0]
    return float(far.mean()) if len(far) else 1.0


def _warn_missing(frame: pd.DataFrame, what: str) -> None:
    """Warn of missing values in the training data."""
    holes = frame.isna().to_numpy()
    if holes.any():
        names = [str(name) for name in frame.columns[np.flatnonzero(holes.any(axis=0))]]
        warn_user(
            f"{holes.sum()} missing values of {holes.any(axis=1).sum()} {what} in {len(names)} "
            "columns are replaced by the training cohort's median: "
            f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''}",
            f"missing {what}",
        )
