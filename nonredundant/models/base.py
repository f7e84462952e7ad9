"""The base of the VAE family: reading, training, encoding, decoding, persistence."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.table import LesionTable
from nonredundant.models.inputs import (
    Cohort,
    cohort_of_matrix,
    cohort_of_table,
    intensity_statistics,
    split_samples,
)
from nonredundant.utils.validation import Interval, NamedOutputMixin, StrOptions, validate_data

#: Rows that are encoded or decoded at once.
CHUNK = 256
#: Constraints of the parameters that every member of the family has.
TRAINING_CONSTRAINTS: dict[str, Any] = {
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 2, None, closed="left")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "lr_schedule": [StrOptions({"cosine", "constant"})],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "beta": [Interval(Real, 0, None, closed="left")],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "augment": [None, StrOptions({"auto"}), callable, list, tuple],
    "network": [None, dict, callable],
    "device": [str],
    "random_state": ["random_state"],
    "callbacks": [None, list],
    "net_params": [None, dict],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
    "output": [StrOptions({"fused", "dlr", "hcr"})],
}


class FamilyEstimator(
    NamedOutputMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):  # type: ignore[call-arg]
    """Base of the family: a subclass says what its module is and how its parts are named.

    A subclass has the training parameters as constructor arguments and defines
    `_module_spec`, `_module_class`, `_weights` and `_term`.
    """

    max_epochs: int
    batch_size: int
    lr: float
    lr_schedule: str = "cosine"
    weight_decay: float
    validation_fraction: float
    augment: str | Sequence[str] | Callable[..., Any] | None
    device: str
    random_state: Any
    callbacks: list[Any] | None
    net_params: dict[str, Any] | None
    warm_start: bool
    verbose: int
    net_: Any

    # What a subclass says of itself --------------------------------------------------------

    def _module_class(self) -> type:
        """Return the module that the net trains."""
        raise NotImplementedError

    def _weights(self) -> dict[str, float]:
        """Return the weight of each term of the loss."""
        raise NotImplementedError

    def _term(self) -> Any:
        """Return the independence term, unfitted, or None."""
        raise NotImplementedError

    def _disentangler(self) -> Any:
        """Return what keeps the columns of d independent of each other; most ask for nothing."""
        return None

    def _condition(self, cohort: Cohort) -> np.ndarray:
        """Return h; most of the family has none."""
        return np.zeros((len(cohort.x), 0))

    # Reading -------------------------------------------------------------------------------

    def _read(self, X: Any, *, reset: bool) -> Cohort:
        """Return the cohort of a table or matrix, checked against what was fitted."""
        if not isinstance(X, LesionTable):
            matrix = validate_data(
                self, X, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1
            )
            cohort = cohort_of_matrix(matrix)
        else:
            cohort = cohort_of_table(X)
            if reset:
                self.feature_names_in_ = np.asarray(X.columns, dtype=object)
                self.n_features_in_ = X.shape[1]
            else:
                self._check_columns(X)
        if reset:
            self._grid = (cohort.n_channels, *cohort.shape)
        elif self._grid != (cohort.n_channels, *cohort.shape):
            raise ValueError(
                f"{type(self).__name__} was fitted on patches of shape {self._grid} (channels "
                f"first), got {(cohort.n_channels, *cohort.shape)}: extract with the same "
                "patch_shape"
            )
        return cohort

    def _check_columns(self, table: LesionTable) -> None:
        """Raise if the table has other columns than the one at fit, naming them."""
        wanted = list(getattr(self, "feature_names_in_", []))
        missing = [name for name in wanted if name not in table.blocks]
        unseen = [name for name in table.columns if name not in set(wanted)]
        if missing or unseen:
            raise ValueError(
                "The feature names should match those that were passed during fit. "
                f"Missing: {missing[:10]} ({len(missing)} in all). "
                f"Unseen at fit: {unseen[:10]} ({len(unseen)} in all). "
                "Extract both cohorts with the same settings"
            )

    # Training ------------------------------------------------------------------------------

    def _train(
        self,
        cohort: Cohort,
        h: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray,
        spec: Mapping[str, Any],
    ) -> None:
        """Train a net on the usable rows; nothing is kept of a run that fails."""
        from nonredundant.nn.batches import LesionDataset
        from nonredundant.nn.training import seeded

        rng = check_random_state(self.random_state)
        usable = np.flatnonzero(cohort.usable)
        held = split_samples(cohort.sample[usable], self.validation_fraction, rng)
        rows = usable[~held]
        dtype = np.float32 if cohort.shape else np.float64
        parts = (cohort.x, cohort.masks, h.astype(dtype), y, weight.astype(dtype))
        train = LesionDataset(*parts, rows, augment=self._augmentation(cohort))
        valid = LesionDataset(*parts, usable[held]) if held.any() else None
        seed = rng.randint(2**31 - 1)
        with seeded(seed):
            resume = self.warm_start and hasattr(self, "net_")
            if resume:
                net = self.net_
            else:
                statistics = intensity_statistics(cohort, rows)
                module = self._build_module(spec, statistics)
                net = self._build_net(module, valid, n_rows=len(rows), seed=seed)
            net.partial_fit(train) if resume else net.fit(train)
        self.net_ = net
        self._spec = dict(spec)
        self.history_ = self._history(net)

    def _augmentation(self, cohort: Cohort) -> Any:
        """Return the callable that changes training batches, or None."""
        if self.augment is None or callable(self.augment):
            return self.augment
        from nonredundant.nn.augment import KINDS, Augmentation

        known = [k for k in KINDS if len(cohort.shape) == 3 or k != "flip_z"]
        if isinstance(self.augment, str):
            flips = [k for k in known if k.startswith("flip")]
            return Augmentation(flips) if cohort.shape and self._mirrors() else None
        unknown = [kind for kind in self.augment if kind not in known]
        if unknown or not cohort.shape:
            raise ValueError(
                f"augment={self.augment!r}: {len(cohort.shape)}-D patches can be augmented by "
                f"{known if cohort.shape else 'nothing'}"
            )
        return Augmentation(self.augment)

    def _mirrors(self) -> bool:
        """Whether `augment="auto"` may mirror lesions: not if labels are learned with them."""
        return True

    def _build_module(
        self, spec: Mapping[str, Any], weights: Mapping[str, np.ndarray] | None = None
    ) -> Any:
        """Return a module of the spec, with some of its arrays set."""
        import torch

        module = self._module_class()(**spec)
        if not spec["shape"]:
            # Rows of a matrix are cheap: doubles make results independent of their batch.
            module = module.double()
        state = module.state_dict()
        for name, value in (weights or {}).items():
            state[name] = torch.as_tensor(value).to(state[name].dtype)
        module.load_state_dict(state)
        return module

    def _build_net(
        self, module: Any, valid: Any, *, n_rows: int, seed: int, device: str = ""
    ) -> Any:
        """Return an untrained net."""
        from nonredundant.nn.batches import balanced_batch_size
        from nonredundant.nn.training import build_net, resolve_device

        device = device or resolve_device(self.device)
        term, among = self._term(), self._disentangler()
        if term is not None:
            term.reset(*module.pair_sizes, device=device, seed=seed)
        if among is not None:
            among.reset(module.n_latents, 0, device=device, seed=seed)
        batch_size = balanced_batch_size(n_rows, self.batch_size)
        n_steps = self.max_epochs * math.ceil(n_rows / batch_size)
        return build_net(
            module,
            valid=valid,
            options=self.net_params or {},
            term=term,
            disentangle=among,
            weights=self._weights(),
            max_epochs=self.max_epochs,
            batch_size=batch_size,
            n_steps=n_steps if self.lr_schedule == "cosine" else None,
            lr=self.lr,
            optimizer__weight_decay=self.weight_decay,
            callbacks=self.callbacks,
            device=device,
            verbose=int(self.verbose),
        )

    @staticmethod
    def _history(net: Any) -> pd.DataFrame:
        """Return the epochs' terms as a data frame, `valid_*` after the training terms."""
        names = [*net.term_names, *(f"valid_{name}" for name in net.term_names)]
        kept = [name for name in names if name in net.history[-1]]
        index = pd.RangeIndex(1, len(net.history) + 1, name="epoch")
        return pd.DataFrame(net.history[:, kept], columns=kept, index=index)

    # Encoding and decoding -----------------------------------------------------------------

    def _encode(self, cohort: Cohort) -> np.ndarray:
        """Return the posterior means of all rows; NaN where a row has no image."""
        from nonredundant.nn.batches import LesionDataset
        from nonredundant.nn.training import encode

        n = len(cohort.x)
        dtype = np.float32 if cohort.shape else np.float64
        h = self._condition(cohort).astype(dtype)
        rows = np.flatnonzero(cohort.usable)
        dataset = LesionDataset(cohort.x, cohort.masks, h, np.zeros(n), np.zeros(n), rows)
        values = encode(self.net_, dataset, CHUNK)
        d = np.full((n, values.shape[1]), np.nan)
        d[rows] = values
        return d

    def _decode(self, *parts: np.ndarray) -> np.ndarray:
        """Return patches, in the image's units, from the arguments of `generative`."""
        import torch

        module = self.net_.module_
        module.eval()
        parameter = next(module.parameters())
        chunks = []
        for start in range(0, len(parts[0]), CHUNK):
            tensors = [torch.as_tensor(part[start : start + CHUNK]).to(parameter) for part in parts]
            with torch.no_grad():
                chunks.append(module.scaler.inverse(module.generative(*tensors)).cpu().numpy())
        return np.concatenate(chunks)

    def _fill_missing(self, d: np.ndarray, cohort: Cohort) -> np.ndarray:
        """Give rows without an image the training cohort's median latent, with one warning."""
        if cohort.usable.all():
            return d
        labels = cohort.features.index[~cohort.usable].tolist()
        warnings.warn(
            f"{len(labels)} lesions have no usable image and get the training cohort's median "
            f"latents: cases {labels[:5]}; drop them where this is not what you want",
            UserWarning,
            stacklevel=4,
        )
        d[~cohort.usable] = self.dlr_median_
        return d

    def _rows(self, values: np.ndarray, table: Any) -> Any:
        """Return rows in the user's container, or as a table where lesions are not samples."""
        if isinstance(table, LesionTable) and not table.is_single:
            names = list(self.get_feature_names_out())
            blocks = {n: "clinical" for n in table.columns_of("clinical") if n in names}
            return table.replace(features=pd.DataFrame(values, columns=names), blocks=blocks)
        return self._wrap(values, getattr(table, "index", None))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : None
            Ignored; the names were learned at `fit`.

        Returns
        -------
        array of str
            The names.
        """
        check_is_fitted(self, "net_")
        return np.asarray(self._names_out(), dtype=object)

    def _names_out(self) -> list[str]:
        """Return the output's column names."""
        raise NotImplementedError

    # Persistence ---------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return the state as arrays and plain types, so that no foreign class is pickled."""
        state = dict(super().__getstate__())
        net = state.pop("net_", None)
        if net is not None:
            weights = net.module_.state_dict()
            state["_net_weights"] = {name: w.cpu().numpy() for name, w in weights.items()}
            history = state.pop("history_")
            state["_history_columns"] = {name: history[name].to_numpy() for name in history}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Rebuild the net, on the CPU, from its arrays."""
        state = dict(state)
        weights = state.pop("_net_weights", None)
        columns = state.pop("_history_columns", None)
        super().__setstate__(state)
        if weights is None:
            return
        module = self._build_module(self._spec, weights)
        net = self._build_net(module, None, n_rows=self.batch_size, seed=0, device="cpu")
        self.net_ = net.initialize()
        index = pd.RangeIndex(1, len(next(iter(columns.values()))) + 1, name="epoch")
        self.history_ = pd.DataFrame(columns, index=index)


#: A latent whose posterior mean varies less than this is collapsed (Burda et al. 2016).
LEAST_VARIANCE = 0.01


def lower_bound(estimator: FamilyEstimator, X: Any, beta: float) -> np.ndarray:
    """Return -(reconstruction + beta * KL) of each lesion; NaN without an image.

    Parameters
    ----------
    estimator : member of the family
        The fitted model.
    X : LesionTable or array of shape (n_samples, n_features)
        As at `fit`.
    beta : float
        Weight of the KL term.

    Returns
    -------
    array of shape (n_lesions,)
        The bounds at the posterior means, in the loss's units.
    """
    from nonredundant.nn.batches import LesionDataset
    from nonredundant.nn.training import elbo

    check_is_fitted(estimator, "net_")
    cohort = estimator._read(X, reset=False)
    rows = np.flatnonzero(cohort.usable)
    n = len(cohort.x)
    h = estimator._condition(cohort).astype(np.float32 if cohort.shape else np.float64)
    dataset = LesionDataset(cohort.x, cohort.masks, h, np.zeros(n), np.zeros(n), rows)
    bounds = np.full(n, np.nan)
    bounds[rows] = elbo(estimator.net_, dataset, CHUNK, beta)
    return bounds


def collapsed(values: np.ndarray, names: list[str]) -> list[str]:
    """Return the names of the latents that say nothing, with a warning if most do.

    Parameters
    ----------
    values : array of shape (n_lesions, n_latents)
        Posterior means; the prior has variance 1.
    names : list of str
        The latents' names.

    Returns
    -------
    list of str
        Those whose variance is below 0.01 (Burda, Grosse & Salakhutdinov 2016, section 5.2).
    """
    dead = [
        name for name, v in zip(names, np.nanvar(values, axis=0), strict=True) if v < LEAST_VARIANCE
    ]
    if 2 * len(dead) > len(names):
        warnings.warn(
            f"{len(dead)} of {len(names)} latents are collapsed (variance of the posterior mean "
            f"below {LEAST_VARIANCE}): {', '.join(dead[:5])}{', …' if len(dead) > 5 else ''}; "
            "lower beta, train longer, or ask for fewer latents",
            UserWarning,
            stacklevel=4,
        )
    return dead


class GenerativeMethods(FamilyEstimator):
    """Methods of the family that need no more than latents, h, encoder and decoder."""

    beta: float
    dead_latents_: list[str]

    def _latent_names(self) -> list[str]:
        """Return the names of all latents, in the order of the posterior means."""
        raise NotImplementedError

    def _settle(self, cohort: Cohort) -> None:
        """Learn from the trained network what rows without image get, and what is collapsed."""
        d = self._encode(cohort)
        self.dlr_median_ = np.nanmedian(d, axis=0)
        self.dead_latents_ = collapsed(d, self._latent_names())

    def _latents(self, X: Any) -> tuple[Cohort, np.ndarray]:
        """Return the cohort and its latents, medians where there is no image."""
        check_is_fitted(self, "net_")
        cohort = self._read(X, reset=False)
        return cohort, self._fill_missing(self._encode(cohort), cohort)

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return the network's reconstruction of each lesion from its latents (and h).

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_lesions, C, *spatial)
            Patches in the images' intensity units; meaningful inside the lesion's mask.
        """
        cohort, d = self._latents(X)
        return self._decode(d, self._condition(cohort))

    def traverse(
        self, X: Any, index: int | str, span: Any = 2.0, *, n_steps: int = 7
    ) -> np.ndarray:
        """Return reconstructions with one latent varied, the others (and h) fixed.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The lesions to start from.
        index : int or str
            Which latent varies: its name, or its place among all of the model's latents.
        span : float or array-like, default=2.0
            Values added to the latent; a number s means `n_steps` values from -s to s.
        n_steps : int, default=7
            Number of values if `span` is a number.

        Returns
        -------
        array of shape (n_lesions, n_steps, C, *spatial)
            Patches in the images' intensity units.

        Raises
        ------
        ValueError
            If there is no such latent.
        """
        check_is_fitted(self, "net_")
        names = self._latent_names()
        n = len(names)
        place = names.index(index) if index in names else index
        if isinstance(place, str) or not -n <= place < n:
            raise ValueError(
                f"index must name one of {n} latents, got {index!r}: names are {names[0]} to "
                f"{names[-1]}"
            )
        cohort, d = self._latents(X)
        offsets = np.linspace(-span, span, n_steps) if np.ndim(span) == 0 else np.asarray(span)
        d = d.repeat(len(offsets), axis=0)
        d[:, place] += np.tile(offsets, len(cohort.x))
        patches = self._decode(d, self._condition(cohort).repeat(len(offsets), axis=0))
        return patches.reshape(len(cohort.x), len(offsets), *patches.shape[1:])

    def score_samples(self, X: Any) -> np.ndarray:
        """Return each lesion's evidence lower bound in the loss's units, higher is better.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_lesions,)
            -(reconstruction + beta * KL) at the posterior means; NaN without an image. Models
            with a background take the label under which the bound is larger.
        """
        return lower_bound(self, X, self.beta)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean evidence lower bound a lesion, higher is better.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.
        y : None
            Ignored.

        Returns
        -------
        float
            The mean of `score_samples` over the lesions that have an image.
        """
        return float(np.nanmean(self.score_samples(X)))
