"""The columns of a feature set, learned on the training samples of one fold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.folds.feature_sets import FeatureSet, Variant
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.patient_level import PatientLevel, lesion_set
from nonredundant.folds.simple_sets import measure_cheap
from nonredundant.folds.splits import Fold
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable
from nonredundant.models.baselines import PatchPCA
from nonredundant.models.cvae import NonRedundantCVAE, gates_of
from nonredundant.models.residualiser import Residualiser
from nonredundant.utils.context import one_thread, recorded_warnings


@dataclass
class PatchEncoder:
    """A fitted transformer of patches: a network or principal components.

    Attributes
    ----------
    network : transformer
        Maps lesions to learned features.
    hcr : list of str
        The hand-crafted columns that it is given.
    names : list of str
        Names of the learned features, known once lesions have been encoded.
    residualiser : Residualiser or None
        Removes what the hand-crafted columns predict of the learned features.
    """

    network: Any
    hcr: list[str]
    names: list[str] = field(default_factory=list)
    residualiser: Residualiser | None = None

    def transform(self, table: LesionTable) -> np.ndarray:
        """Return the learned features, shape (n_lesions, n_learned)."""
        values = encode(self.network, network_input(table, self.hcr))
        if self.residualiser is None:
            return values
        return self.residualiser.transform(table.hcr[self.hcr], values)


@dataclass
class Learned:
    """One variant fitted in one fold, with the learned features of every lesion.

    `lesions` has one row per lesion; `d` has one row per sample, the mean over its lesions.
    `cross_fitted` is as `lesions`, but training lesions are encoded by networks that did not see
    their labels; None if the network sees no labels.
    """

    variant: Variant
    repeat: int
    fold: int
    d: np.ndarray
    lesions: np.ndarray
    encoder: PatchEncoder
    history: pd.DataFrame | None
    seconds: float
    warnings: list[str] = field(default_factory=list)
    cross_fitted: np.ndarray | None = None

    @property
    def for_classifiers(self) -> np.ndarray:
        """The learned features that classifiers are trained on and applied to."""
        return self.lesions if self.cross_fitted is None else self.cross_fitted

    @property
    def columns(self) -> list[str]:
        """Names of the learned features."""
        return self.encoder.names

    @property
    def model(self) -> Any:
        """The fitted transformer: the residualiser if there is one, else the network."""
        residualiser = self.encoder.residualiser
        return self.encoder.network if residualiser is None else residualiser


def resolve_network(cvae: Any, sets: Sequence[FeatureSet], outcome: Outcome) -> Any:
    """Return the untrained network, the default one if None; None if no set needs it.

    Raises
    ------
    ValueError
        If the network has a label term and the outcome is a time to an event.
    """
    if not any(one.variant is not None for one in sets):
        return None
    if cvae is None:
        cvae = NonRedundantCVAE()
    if outcome.is_survival and cvae.get_params().get("gamma"):
        raise ValueError(
            f"cvae has gamma={cvae.gamma}, a label term of classes, and the outcome is a time to "
            "an event: set gamma=0"
        )
    return cvae


def check_independence(cvae: Any, sets: Sequence[FeatureSet]) -> None:
    """Raise a ValueError if a set needs an independence term that the network does not have."""
    with_term = [one.name for one in sets if one.variant is not None and one.variant.term]
    if with_term and cvae.get_params().get("independence") is None:
        raise ValueError(
            f"{with_term[0]!r} needs an independence term and cvae has independence=None: name "
            "one, for instance independence='dcor', or leave the '-MI' sets out"
        )


def network_input(table: LesionTable, hcr: list[str]) -> LesionTable:
    """Return the lesions with the columns that a network is given."""
    return table.replace(features=table.features[[*hcr, *table.columns_of("clinical")]])


def encode(network: Any, lesions: LesionTable) -> np.ndarray:
    """Return the learned features as an array, shape (n_lesions, n_learned)."""
    values = network.transform(lesions)
    if isinstance(values, LesionTable):
        values = values.features.to_numpy()
    return np.asarray(values, dtype=float)


def sees_labels(variant: Variant, cvae: Any) -> bool:
    """Return whether labels enter the loss of a variant's network."""
    return variant.kind != "pca" and bool(cvae.get_params().get("gamma"))


def depends_on_labels(variant: Variant, cvae: Any) -> bool:
    """Return whether labels affect a learned block, by its loss or by the selection of its h."""
    return sees_labels(variant, cvae) or variant.selection.k > 0


def learn(
    table: LesionTable,
    y: np.ndarray,
    target: np.ndarray,
    fold: Fold,
    variant: Variant,
    cvae: Any,
    key: str,
    splits: Sequence[tuple[np.ndarray, np.ndarray]] = (),
) -> Learned:
    """Fit one variant on the training samples of a fold and encode every lesion with it.

    Networks are trained with the labels `y`; hand-crafted columns are selected by `target`, one
    value per training sample. `key` identifies table and outcome where results are kept on disk.
    `splits` of the training samples are needed where labels enter the loss: see `_cross_fit`.
    """
    del key
    start = time.perf_counter()
    torch_too = type(cvae).__module__.startswith("nonredundant") and variant.kind == "vae"
    with recorded_warnings() as messages, one_thread(torch_too=torch_too):
        encoder = _fit_encoder(table, y, target, fold, variant, cvae)
        lesions = encoder.transform(table)
        prefix = "pca" if variant.kind == "pca" else "dlr"
        encoder.names = [f"{prefix}{i:02d}" for i in range(lesions.shape[1])]
        cross_fitted = None
        if splits:
            cross_fitted = _cross_fit(table, y, target, fold, variant, cvae, splits, lesions)
    history = getattr(encoder.network, "history_", None)
    return _learned(variant, fold, table, lesions, encoder, history, start, messages, cross_fitted)


def _fit_encoder(
    table: LesionTable,
    y: np.ndarray,
    target: np.ndarray,
    fold: Fold,
    variant: Variant,
    cvae: Any,
) -> PatchEncoder:
    """Fit the network, or the components, of a variant on the training samples of a fold."""
    train = table[fold.train]
    hcr = variant.selection.columns(pool_samples(train, train.hcr), target)
    model = _estimator(variant, cvae, fold.seed)
    model.fit(network_input(train, hcr), y[fold.train])
    return PatchEncoder(model, hcr)


def _cross_fit(
    table: LesionTable,
    y: np.ndarray,
    target: np.ndarray,
    fold: Fold,
    variant: Variant,
    cvae: Any,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    lesions: np.ndarray,
) -> np.ndarray:
    """Encode training lesions by networks that did not see their labels.

    A network with a label term separates the classes of its own training samples even where the
    patches are noise, and a classifier trained on such latents trusts them. For each split a
    network is therefore fitted on its training part; its latents are mapped to those of the
    final network, `lesions`, by a ridge regression on that part, which both saw, and encode the
    part that was left out.
    """
    found = lesions.copy()
    for train, test in splits:
        part = replace(fold, train=fold.train[train])
        own = _fit_encoder(table, y, target[train], part, variant, cvae).transform(table)
        seen, left_out = (np.isin(table.sample, fold.train[rows]) for rows in (train, test))
        mapping = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 7)))
        found[left_out] = mapping.fit(own[seen], lesions[seen]).predict(own[left_out])
    return found


def residualise(
    source: Learned, variant: Variant, table: LesionTable, target: np.ndarray, fold: Fold
) -> Learned:
    """Remove from learned features what hand-crafted ones predict, fitted on training lesions."""
    start = time.perf_counter()
    with recorded_warnings() as messages, one_thread(torch_too=False):
        pooled = pool_samples(table, table.hcr).iloc[fold.train]
        hcr = variant.selection.columns(pooled, target)
        h = table.hcr[hcr]
        rows = np.isin(table.sample, fold.train)
        model = Residualiser().fit(h[rows], source.lesions[rows], groups=table.sample[rows])
        lesions = model.transform(h, source.lesions)
        cross_fitted = source.cross_fitted
        if cross_fitted is not None:
            cross_fitted = model.transform(h, cross_fitted)
    encoder = PatchEncoder(source.encoder.network, hcr, source.columns, model)
    return _learned(variant, fold, table, lesions, encoder, None, start, messages, cross_fitted)


def _learned(
    variant: Variant,
    fold: Fold,
    table: LesionTable,
    lesions: np.ndarray,
    encoder: PatchEncoder,
    history: pd.DataFrame | None,
    start: float,
    messages: list[str],
    cross_fitted: np.ndarray | None,
) -> Learned:
    """Make the record of a fitted variant."""
    d = pool_samples(table, lesions).to_numpy(dtype=float)
    seconds = time.perf_counter() - start
    place = (variant, fold.repeat, fold.fold)
    return Learned(*place, d, lesions, encoder, history, seconds, messages, cross_fitted)


def _estimator(variant: Variant, cvae: Any, seed: int) -> Any:
    """Make the untrained estimator of a variant."""
    if variant.kind == "pca":
        size = variant.size or cvae.get_params().get("dlr_size", 16)
        return PatchPCA(size, random_state=seed)
    model = clone(cvae)
    settings: dict[str, Any] = {"output": "dlr", "random_state": seed}
    if not variant.term:
        settings |= _without_term(model)
    if variant.size is not None:
        settings["dlr_size"] = variant.size
    return model.set_params(**settings)


def _without_term(model: Any) -> dict[str, Any]:
    """Return the settings of the same network with nothing that keeps d independent of h.

    Everything else stays, also the gates that "auto" chooses by the term.
    """
    known = model.get_params()
    settings: dict[str, Any] = {"independence": None}
    if "residualise" in known:
        settings["residualise"] = False
    if known.get("conditioning") == "auto":
        settings["conditioning"] = gates_of(known["independence"])
    return settings


@dataclass(frozen=True)
class Blocks:
    """A feature set as columns: the known ones and the learned block, one row per sample."""

    base: pd.DataFrame
    added: pd.DataFrame

    @property
    def matrix(self) -> np.ndarray:
        """Both blocks side by side."""
        return np.hstack([self.base.to_numpy(dtype=float), self.added.to_numpy(dtype=float)])

    @property
    def is_fused(self) -> bool:
        """Whether there is a learned block beside known columns."""
        return bool(self.base.shape[1] and self.added.shape[1])

    @property
    def n_known(self) -> int:
        """Number of columns of the first block; learned columns alone count as known."""
        return self.base.shape[1] or self.added.shape[1]

    def take(self, rows: np.ndarray) -> Blocks:
        """Select samples by their positions."""
        return Blocks(self.base.iloc[rows], self.added.iloc[rows])


class Representation:
    """The columns of one feature set, of samples or, for a graph, of lesions.

    Parameters
    ----------
    feature_set : FeatureSet
        The set.
    level : PatientLevel
        How several lesions of a sample are pooled.
    graph : bool
        Whether to keep lesions apart for a graph.

    Attributes
    ----------
    hcr_ : list of str
        The hand-crafted columns that were selected on the training samples.
    encoder_ : PatchEncoder or None
        The transformer of patches, if the set has learned features.
    """

    def __init__(self, feature_set: FeatureSet, level: PatientLevel, *, graph: bool) -> None:
        self.feature_set = feature_set
        self.level = level
        self.graph = graph

    def fit(
        self, table: LesionTable, target: np.ndarray, fold: Fold, encoder: PatchEncoder | None
    ) -> Representation:
        """Select the hand-crafted columns by `target`, one value per training sample."""
        self.hcr_: list[str] = []
        if self.feature_set.selection is not None:
            hcr = pool_samples(table, table.hcr) if self.graph else self.level.hcr(table)
            self.hcr_ = self.feature_set.selection.columns(hcr.iloc[fold.train], target)
        self.encoder_ = encoder
        return self

    def transform(
        self, table: LesionTable, learned: np.ndarray | None = None
    ) -> Blocks | LesionTable:
        """Return the columns of every sample, or the lesions of a graph.

        `learned` are the learned features of the lesions where they have been computed before.
        """
        if learned is None and self.encoder_ is not None:
            learned = self.encoder_.transform(table)
        names = [] if self.encoder_ is None else self.encoder_.names
        if self.graph:
            return lesion_set(self.feature_set, table, learned, names, self.hcr_)
        parts = [pd.DataFrame(index=table.index)]
        if self.feature_set.cheap:
            parts.append(measure_cheap(table, self.feature_set.cheap))
        if self.feature_set.selection is not None:
            parts.append(self.level.hcr(table)[self.hcr_])
        if self.feature_set.clinical:
            parts.append(pool_samples(table, table.clinical))
        added = pd.DataFrame(index=table.index)
        if learned is not None:
            added = self.level.pool(table, pd.DataFrame(learned, columns=names))
        return Blocks(pd.concat(parts, axis=1), added)
