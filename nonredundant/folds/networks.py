"""Learned features of one fold: of the patches of its samples, or of their embeddings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.folds.cohort import Cohort
from nonredundant.folds.feature_sets import FeatureSet, Variant
from nonredundant.folds.fold_data import FoldData, PrepareTask
from nonredundant.folds.outcome import Outcome
from nonredundant.folds.selection import SelectHCR
from nonredundant.folds.splits import Fold
from nonredundant.folds.steps import sees_labels
from nonredundant.lesions.measures import pool_samples
from nonredundant.lesions.table import LesionTable
from nonredundant.models.baselines import PatchPCA
from nonredundant.models.cvae import NonRedundantCVAE, gates_of
from nonredundant.models.residualiser import Residualiser
from nonredundant.models.sample_categories import (
    category_columns,
    category_shares,
    check_condition,
    named_categories,
)
from nonredundant.utils.context import one_thread, recorded_warnings

#: The label of samples for networks that are given none.
UNLABELLED = -1


@dataclass
class PatchEncoder:
    """A fitted transformer of patches, a network or principal components; or of an embedding.

    Attributes
    ----------
    network : transformer
        Maps lesions to learned features.
    hcr : list of str
        The hand-crafted columns that it is given.
    names : list of str
        Names of the learned features, known once lesions have been encoded.
    residualiser : Residualiser or None
        Removes what the hand-crafted and clinical columns predict of the learned features.
    embedding : str
        Name of the embedding that is transformed in place of patches; empty for patches.
    median : array of shape (n_learned,) or None
        What lesions without an embedding get in place of residuals.
    shares : dict or None
        The columns of samples, such as the centre, that an embedding is made independent of beside
        the known columns, with the share of each category of the training lesions.
    """

    network: Any
    hcr: list[str]
    names: list[str] = field(default_factory=list)
    residualiser: Residualiser | None = None
    embedding: str = ""
    median: np.ndarray | None = None
    shares: dict[str, dict[str, float]] | None = None

    def transform(self, table: LesionTable) -> np.ndarray:
        """Return the learned features, shape (n_lesions, n_learned)."""
        if self.embedding:
            values = encode(self.network, embedding_input(table, self.embedding))
        else:
            values = encode(self.network, network_input(table, self.hcr))
        return self.residuals(table, values)

    @property
    def share_explained(self) -> float:
        """Share of the variance of the learned features that the regressions explain."""
        if self.residualiser is None:
            return float("nan")
        return self.residualiser.share_explained

    def condition(self, table: LesionTable) -> pd.DataFrame:
        """Return h, which the residuals are made independent of."""
        h = network_input(table, self.hcr).features
        if not self.shares:
            return h
        categories = category_columns(table.samples.iloc[table.sample], self.shares)
        return pd.concat([h.reset_index(drop=True), pd.DataFrame(categories)], axis=1)

    def residuals(self, table: LesionTable, values: np.ndarray) -> np.ndarray:
        """Return what known columns do not predict of learned features; these without a model."""
        if self.residualiser is None:
            return values
        found = self.residualiser.transform(self.condition(table), values)
        if self.median is not None:
            found[without_embedding(table, self.embedding)] = self.median
        return found


@dataclass
class Learned:
    """One variant fitted in one fold, with the learned features of every lesion.

    Attributes
    ----------
    variant : Variant
        What was fitted.
    fold : Fold
        Where.
    encoder : PatchEncoder
        The fitted transformer of patches.
    lesions : array of shape (n_lesions, n_learned)
        The learned features.
    samples : DataFrame of shape (n_samples, n_learned)
        Their means over the lesions of each sample.
    held : DataFrame
        The rows of `samples` that the fold held out.
    cross_fitted : array or None
        As `lesions`, but training lesions are encoded by networks that did not see their labels;
        None if the network sees no labels.
    history : DataFrame or None
        Losses per epoch.
    seconds : float
        Duration.
    warnings : list of str
        Warnings of the fit.
    """

    variant: Variant
    fold: Fold
    encoder: PatchEncoder
    lesions: np.ndarray
    samples: pd.DataFrame
    held: pd.DataFrame
    cross_fitted: np.ndarray | None = None
    history: pd.DataFrame | None = None
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        variant: Variant,
        data: FoldData,
        encoder: PatchEncoder,
        lesions: np.ndarray,
        cross_fitted: np.ndarray | None,
    ) -> Learned:
        """Make the record of learned features."""
        samples = pool_samples(data.table, lesions).set_axis(encoder.names, axis=1).astype(float)
        held = data.parts(samples.iloc).test
        return cls(variant, data.fold, encoder, lesions, samples, held, cross_fitted)

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
        If the network has a label term and the outcome are no classes.
    """
    if not any(one.variant is not None and not one.variant.embedding for one in sets):
        return None
    if cvae is None:
        cvae = NonRedundantCVAE()
    if outcome.kind != "classes" and cvae.get_params().get("gamma"):
        raise ValueError(
            f"cvae has gamma={cvae.gamma}, a label term of classes, and y holds "
            f"{'times to an event' if outcome.is_survival else 'numbers'}: set gamma=0"
        )
    return cvae


def check_independence(cvae: Any, sets: Sequence[FeatureSet]) -> None:
    """Raise a ValueError if a set needs an independence term that the network does not have."""
    learned = [one for one in sets if one.variant is not None and not one.variant.embedding]
    with_term = [one.name for one in learned if one.variant is not None and one.variant.term]
    if with_term and cvae.get_params().get("independence") is None:
        raise ValueError(
            f"{with_term[0]!r} needs an independence term and cvae has independence=None: name "
            "one, for instance independence='dcor', or leave the '-MI' sets out"
        )


def network_input(table: LesionTable, hcr: list[str]) -> LesionTable:
    """Return the lesions with the columns that a network is given."""
    table = table.with_left_out()
    return table.replace(features=table.features[[*hcr, *table.columns_of("clinical")]])


def embedding_input(table: LesionTable, name: str) -> LesionTable:
    """Return the lesions with one embedding alone."""
    columns = table.features[table.columns_of(name)]
    return table.replace(features=columns, patches=None, masks=None)


def without_embedding(table: LesionTable, name: str) -> np.ndarray:
    """Return the mask of lesions that have no embedding; none if it is no embedding."""
    values = table.features[table.columns_of(name)].to_numpy(dtype=float)
    return np.isnan(values).all(axis=1) if values.shape[1] else np.zeros(len(values), dtype=bool)


def encode(network: Any, lesions: LesionTable) -> np.ndarray:
    """Return the learned features as an array, shape (n_lesions, n_learned)."""
    values = network.transform(lesions)
    if isinstance(values, LesionTable):
        values = values.features.to_numpy()
    return np.asarray(values, dtype=float)


def uses_labels(variant: Variant, cvae: Any) -> bool:
    """Return whether labels enter the fit of a variant's network.

    They do if its loss has a label term (`gamma`), or if a network of the user's own says by its
    tags that it needs y. No other network is given any.
    """
    if variant.kind == "pca" or variant.embedding:
        return False
    return bool(cvae.get_params().get("gamma")) or sees_labels(cvae)


def depends_on_labels(variant: Variant, cvae: Any, cohort: Cohort) -> bool:
    """Return whether labels affect a learned block: by its loss, its h or a step before it."""
    return uses_labels(variant, cvae) or variant.selection.k > 0 or cohort.labels_reach_networks


@dataclass(frozen=True)
class LearnTask:
    """Fit one variant on the training samples of a fold and encode every lesion with it.

    Attributes
    ----------
    data : FoldData
        The samples after the steps.
    variant : Variant
        What is fitted.
    cvae : transformer
        The untrained network, or what reduces an embedding.
    """

    data: FoldData
    variant: Variant
    cvae: Any

    @property
    def name(self) -> str:
        """What is fitted, for messages."""
        return f"{self.variant.name} in {self.data.fold.name}"

    @property
    def cost(self) -> tuple[bool, int, bool]:
        """What orders the tasks by their time, as far as it is known before.

        With the longest tasks first, no process works long after the others are done: networks
        before components, more training samples before fewer, with the term before without.
        """
        return self.variant.kind != "pca", len(self.data.fold.train), self.variant.term

    def key(self, voxels: str) -> tuple[Any, ...]:
        """Return what identifies the result: labels only where they enter."""
        data, cohort = self.data, self.data.cohort
        cross_fitted = uses_labels(self.variant, self.cvae)
        outcome = cohort.outcome if cross_fitted or self.variant.selection.k else None
        before = None
        if cross_fitted and cohort.depends_on_labels:
            # Cross-fitting goes back to what the steps are fitted to.
            before = PrepareTask(cohort, data.fold).key(voxels)
        return data.digest(voxels), outcome, data.train_groups, self.variant, self.cvae, before

    def run(self) -> Learned:
        """Return the network and the learned features of every lesion."""
        start = time.perf_counter()
        variant, data = self.variant, self.data
        torch_too = type(self.cvae).__module__.startswith("nonredundant") and variant.kind == "vae"
        with recorded_warnings() as messages, one_thread(torch_too=torch_too):
            encoder = self._fit(data)
            lesions = encoder.transform(data.table)
            prefix = "pca" if variant.kind == "pca" else "dlr"
            prefix = f"{variant.embedding}_" if variant.embedding else prefix
            encoder.names = [f"{prefix}{i:02d}" for i in range(lesions.shape[1])]
            cross_fitted = None
            if uses_labels(variant, self.cvae):
                cross_fitted = self._cross_fit(lesions)
        record = Learned.of(variant, data, encoder, lesions, cross_fitted)
        record.history = getattr(encoder.network, "history_", None)
        record.seconds, record.warnings = time.perf_counter() - start, messages
        return record

    def _fit(self, data: FoldData) -> PatchEncoder:
        """Fit the network, or the components, on the training samples of a fold."""
        train, outcome = data.train, data.y_train
        name = self.variant.embedding
        if name:
            settings = {"embedding": name, "independent_of": None, "output": "dlr"}
            reducer = clone(self.cvae).set_params(**settings)
            return PatchEncoder(reducer.fit(embedding_input(train, name)), [], embedding=name)
        hcr = selected_columns(self.variant, data)
        labels = outcome.for_network
        if not uses_labels(self.variant, self.cvae):
            labels = np.full(len(labels), UNLABELLED)
        model = _estimator(self.variant, self.cvae, data.fold.seed)
        return PatchEncoder(model.fit(network_input(train, hcr), labels), hcr)

    def _cross_fit(self, lesions: np.ndarray) -> np.ndarray:
        """Encode training lesions by networks that did not see their labels.

        A network with a label term separates the classes of its own training samples even where
        the patches are noise, and a classifier trained on such latents trusts them. For each split
        a network is therefore fitted on its training part; its latents are mapped to those of the
        final network, `lesions`, by a ridge regression on that part, which both saw, and encode
        the part that was left out.
        """
        encoded = lesions.copy()
        sample = self.data.table.sample
        for train, test in self.data.cross_fitting:
            part = self.data.within(train)
            latents = self._fit(part).transform(part.table)
            seen = part.train_lesions
            left_out = np.isin(sample, self.data.fold.train[test])
            mapping = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 7)))
            encoded[left_out] = mapping.fit(latents[seen], lesions[seen]).predict(latents[left_out])
        return encoded


def selected_columns(variant: Variant, data: FoldData) -> list[str]:
    """Return the hand-crafted columns that a variant's network is given, as the fold selects.

    Whatever a step leaves out for classifiers, a network is kept from repeating.
    """
    train = data.train_of(data.table.replace(patches=None, masks=None)).with_left_out()
    found = SelectHCR(variant.selection).fit(train, data.y_train.target).columns_
    if variant.selection.k:
        return found
    # What a step has left out stands behind the others, and an order by labels would be seen.
    order = {name: place for place, name in enumerate(data.cohort.table.columns)}
    return sorted(found, key=lambda name: (order.get(name, len(order)), str(name)))


def residualise(source: Learned, variant: Variant, data: FoldData, model: Any) -> Learned:
    """Remove from learned features what known columns predict, fitted on training lesions.

    So is what the categories of samples predict that `independent_of` of the model names.
    """
    start = time.perf_counter()
    with recorded_warnings() as messages, one_thread(torch_too=False):
        hcr = selected_columns(variant, data)
        table, name = data.table, variant.embedding
        # Without an embedding there is nothing to regress.
        missing = without_embedding(table, name)
        rows = data.train_lesions & ~missing
        encoder = PatchEncoder(source.encoder.network, hcr, source.columns, embedding=name)
        encoder.shares = _shares(model, table, rows, data)
        h = encoder.condition(table)[rows]
        encoder.residualiser = Residualiser().fit(h, source.lesions[rows], table.sample[rows])
        lesions = encoder.residuals(table, source.lesions)
        if name:
            encoder.median = np.median(lesions[rows], axis=0)
            lesions[missing] = encoder.median
        cross_fitted = source.cross_fitted
        if cross_fitted is not None:
            cross_fitted = encoder.residuals(table, cross_fitted)
    record = Learned.of(variant, data, encoder, lesions, cross_fitted)
    record.seconds, record.warnings = time.perf_counter() - start, messages
    return record


def _shares(
    model: Any, table: LesionTable, rows: np.ndarray, data: FoldData
) -> dict[str, dict[str, float]]:
    """Return the categories of the training lesions of what a model is independent of."""
    columns = named_categories(model)
    if columns:
        check_condition(columns, table.samples.iloc[data.fold.train], table.blocks)
    return category_shares(table.samples.iloc[table.sample[rows]], columns)


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
