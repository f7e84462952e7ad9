"""Base class of the VAE family: reading input, training, encoding and decoding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nonredundant.lesions.features import check_columns, refuse_images
from nonredundant.lesions.table import LesionTable
from nonredundant.models.inputs import (
    Cohort,
    cohort_of_matrix,
    cohort_of_table,
    intensity_statistics,
    split_samples,
)
from nonredundant.nn.estimator import NET_CONSTRAINTS, NetworkEstimator, TrainingPlan
from nonredundant.utils.output import NamedOutputMixin
from nonredundant.utils.user_warnings import warn_user
from nonredundant.utils.validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_data,
)

#: Number of rows that are encoded or decoded at once.
CHUNK = 256
#: A latent whose posterior mean has a smaller variance is collapsed (Burda et al. 2016).
LEAST_VARIANCE = 0.01

#: Constraint of the weight of a loss term.
WEIGHT = [Interval(Real, 0, None, closed="left")]
#: Constraints of the parameters that all models of the family share.
VAE_CONSTRAINTS: dict[str, Any] = {
    **NET_CONSTRAINTS,
    "batch_size": [Interval(Integral, 2, None, closed="left")],
    "beta": WEIGHT,
    "augment": [None, StrOptions({"auto"}), callable, list, tuple],
    "network": [None, dict, callable],
}


class VAEEstimator(NamedOutputMixin, TransformerMixin, NetworkEstimator):
    """Base of `VAE`, `NonRedundantCVAE` and the contrastive models.

    A subclass defines `_module_class`, `_plan` and `_latent_names`. Its `fit` validates the
    parameters, then calls `_read`, `_plan` and `_train`.
    """

    batch_size: int
    beta: float
    augment: str | Sequence[str] | Callable[..., Any] | None
    dead_latents_: list[str]
    dlr_median_: np.ndarray
    _grid: tuple[int, ...]

    _own_options = {
        "validation_fraction": 0.0,
        "reconstruction": "normalised",
        "n_threads": 1,
        "accelerate": False,
    }
    #: Defaults of the learning-rate schedule and the weight decay; `net_params` overrides them.
    _optimiser: dict[str, Any] = {"lr_schedule": "cosine", "optimizer__weight_decay": 1e-4}

    def _latent_names(self) -> list[str]:
        """Return the names of all latents, in the order of the posterior means."""
        raise NotImplementedError

    def _condition(self, cohort: Cohort) -> np.ndarray:
        """Return h, the condition of the networks; empty unless a model is given h."""
        return np.zeros((len(cohort.x), 0))

    def _mirrors(self) -> bool:
        """Return whether `augment="auto"` mirrors lesions; it must not if labels are learned."""
        return True

    def _double(self, spec: Any) -> bool:
        return not spec["shape"]

    # Reading -------------------------------------------------------------------------------

    def _read(self, X: Any, *, reset: bool) -> Cohort:
        """Return the cohort of a table or matrix; without `reset`, check it against `fit`."""
        refuse_images(X, type(self).__name__)
        if not isinstance(X, LesionTable):
            if not reset and len(self._grid) > 1:
                raise ValueError(_no_lesions(type(self).__name__, self._grid, X))
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
                check_columns(getattr(self, "feature_names_in_", []), X)
        if reset:
            self._grid = (cohort.n_channels, *cohort.shape)
        elif self._grid != (cohort.n_channels, *cohort.shape):
            raise ValueError(
                f"{type(self).__name__} was fitted on patches of shape {self._grid} (channels "
                f"first), got {(cohort.n_channels, *cohort.shape)}: extract with the same "
                "patch_shape"
            )
        return cohort

    # Training ------------------------------------------------------------------------------

    def _train(self, cohort: Cohort, plan: TrainingPlan) -> None:
        """Train the network on the usable rows, then compute the median and collapsed latents."""
        from nonredundant.nn.batches import LesionDataset
        from nonredundant.nn.net import threads
        from nonredundant.nn.resident import resident

        self._check_options()
        device = self._training_device()
        rng = check_random_state(self.random_state)
        usable = np.flatnonzero(cohort.usable)
        held = split_samples(cohort.sample[usable], self._option("validation_fraction"), rng)
        rows = usable[~held]
        dtype = np.float32 if cohort.shape else np.float64
        weight = np.ones(len(cohort.x)) if plan.row_weights is None else plan.row_weights
        parts = (
            cohort.x,
            cohort.masks,
            plan.conditions.astype(dtype),
            plan.labels,
            weight.astype(dtype),
        )
        with threads(self._option("n_threads")):
            self._fit_net(
                plan,
                resident(LesionDataset(*parts, rows, augment=self._augmentation(cohort)), device),
                resident(LesionDataset(*parts, usable[held]), device) if held.any() else None,
                lambda: intensity_statistics(cohort, rows),
                rng.randint(2**31 - 1),
            )
        self._after_training(cohort)
        d = self._encode(cohort)
        self.dlr_median_ = np.nanmedian(d, axis=0)
        self.dead_latents_ = collapsed(d, self._latent_names())

    def _after_training(self, cohort: Cohort) -> None:
        """Learn what follows from the trained network; nothing by default."""

    def _check_options(self) -> None:
        """Check the options of `net_params` that this class reads."""
        fraction, error = self._option("validation_fraction"), self._option("reconstruction")
        if not (isinstance(fraction, int | float) and 0 <= fraction < 1):
            raise InvalidParameterError(
                f"net_params['validation_fraction'] must be a number in [0, 1), got {fraction!r}"
            )
        number = self._option("n_threads")
        if number is not None and not (isinstance(number, int) and number >= 1):
            raise InvalidParameterError(
                f"net_params['n_threads'] must be a positive integer or None, got {number!r}"
            )
        if not isinstance(self._option("accelerate"), bool):
            raise InvalidParameterError(
                "net_params['accelerate'] must be True or False, got "
                f"{self._option('accelerate')!r}"
            )
        if error not in ("normalised", "summed"):
            raise InvalidParameterError(
                f"net_params['reconstruction'] must be 'normalised' or 'summed', got {error!r}"
            )

    def _augmentation(self, cohort: Cohort) -> Any:
        """Return the augmentation of the training batches, or None."""
        if self.augment is None or callable(self.augment):
            return self.augment
        from nonredundant.nn.augment import KINDS, Augmentation

        possible = list(KINDS)
        if len(cohort.shape) != 3:
            possible.remove("flip_z")
        if isinstance(self.augment, str):
            flips = [name for name in possible if name.startswith("flip")]
            return Augmentation(flips) if cohort.shape and self._mirrors() else None
        allowed = f"{len(cohort.shape)}-D patches can be augmented by {possible}"
        if not cohort.shape:
            possible, allowed = [], "rows of a matrix cannot be augmented; set augment=None"
        if not cohort.shape or any(name not in possible for name in self.augment):
            raise ValueError(f"augment={self.augment!r}: {allowed}")
        return Augmentation(self.augment)

    def _build_net(
        self, module: Any, plan: TrainingPlan, valid: Any, n_rows: int, seed: int
    ) -> Any:
        """Build the untrained net and size its independence terms to the module."""
        from nonredundant.nn.batches import balanced_batch_size
        from nonredundant.nn.net import build_net
        from nonredundant.nn.training import VAENet

        kind, shared, n_processes, device = VAENet, {}, 1, self._training_device()
        if self._option("accelerate"):
            from nonredundant.nn.accelerated import AcceleratedVAENet, shared_training

            accelerator = shared_training(device, plan.terms, self._net_options())
            kind, shared = AcceleratedVAENet, {"accelerator": accelerator}
            n_processes = accelerator.num_processes
        term, among = plan.terms.get("independence"), plan.terms.get("disentangle")
        if term is not None:
            term.reset(*module.pair_sizes, device=device, seed=seed)
        if among is not None:
            among.reset(module.n_latents, 0, device=device, seed=seed)
        batch_size = balanced_batch_size(n_rows, self.batch_size)
        n_batches = math.ceil(n_rows / batch_size)
        return build_net(
            kind,
            module,
            valid=valid,
            options=self._net_options(),
            term=term,
            disentangle=among,
            weights=plan.weights,
            max_epochs=self.max_epochs,
            batch_size=batch_size,
            n_steps=self.max_epochs * math.ceil(n_batches / n_processes),
            lr=self.lr,
            device=device,
            verbose=int(self.verbose),
            **self._optimiser,
            **shared,
        )

    def _training_device(self) -> str:
        """Return the device of the training; with accelerate that of this process."""
        from nonredundant.nn.net import resolve_device

        device = resolve_device(self.device)
        if not self._option("accelerate"):
            return device
        from nonredundant.nn.accelerated import make_accelerator

        return str(make_accelerator(device).device)

    # Encoding and decoding -----------------------------------------------------------------

    def _dataset(self, cohort: Cohort) -> Any:
        """Return a dataset of the usable rows of a cohort, without labels."""
        from nonredundant.nn.batches import LesionDataset

        n = len(cohort.x)
        h = self._condition(cohort).astype(np.float32 if cohort.shape else np.float64)
        rows = np.flatnonzero(cohort.usable)
        return LesionDataset(cohort.x, cohort.masks, h, np.zeros(n), np.zeros(n), rows)

    def _encode(self, cohort: Cohort) -> np.ndarray:
        """Return the posterior means of all rows; NaN for rows without an image."""
        from nonredundant.nn.training import encode

        values = encode(self.net_, self._dataset(cohort), CHUNK)
        d = np.full((len(cohort.x), values.shape[1]), np.nan)
        d[cohort.usable] = values
        return d

    def _decode(self, *parts: np.ndarray) -> np.ndarray:
        """Decode the arguments of `generative` to patches in the units of the images."""
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

    def _latents(self, X: Any) -> tuple[Cohort, np.ndarray]:
        """Return the cohort and its latents; the median latents for rows without an image."""
        check_is_fitted(self, "net_")
        cohort = self._read(X, reset=False)
        return cohort, self._fill_missing(self._encode(cohort), cohort)

    def _fill_missing(self, d: np.ndarray, cohort: Cohort) -> np.ndarray:
        """Set the latents of rows without an image to the training medians, with one warning."""
        if cohort.usable.all():
            return d
        labels = cohort.features.index[~cohort.usable].tolist()
        warn_user(
            f"{len(labels)} lesions have no usable image and get the training cohort's median "
            f"latents: cases {labels[:5]}; leave these cases out if you do not want this",
            "no image",
        )
        d[~cohort.usable] = self.dlr_median_
        return d

    def _rows(self, values: np.ndarray, table: Any) -> Any:
        """Return the rows in the set output container; a table if samples have several lesions."""
        if isinstance(table, LesionTable) and not table.is_single:
            names = list(self.get_feature_names_out())
            blocks = {n: "clinical" for n in table.columns_of("clinical") if n in names}
            return table.replace(features=pd.DataFrame(values, columns=names), blocks=blocks)
        return self._wrap(values, getattr(table, "index", None))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns of `transform`.

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
        """Return the names of the output columns of `transform`."""
        return self._latent_names()

    def reconstruct(self, X: Any) -> np.ndarray:
        """Reconstruct each lesion from its latents (and h).

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_lesions, C, ...)
            Patches in the images' intensity units; meaningful inside the lesion's mask.
        """
        cohort, d = self._latents(X)
        return self._decode(d, self._condition(cohort))

    def traverse(
        self, X: Any, index: int | str, span: Any = 2.0, *, n_steps: int = 7
    ) -> np.ndarray:
        """Reconstruct lesions with one latent varied and the others (and h) fixed.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            The lesions to start from.
        index : int or str
            The latent to vary: its name, or its position among all latents of the model.
        span : float or array-like, default=2.0
            Values added to the latent. A number s stands for `n_steps` values from -s to s.
        n_steps : int, default=7
            Number of values if `span` is a number.

        Returns
        -------
        array of shape (n_lesions, n_steps, C, ...)
            Patches in the images' intensity units.

        Raises
        ------
        ValueError
            If the model has no such latent.
        """
        check_is_fitted(self, "net_")
        names = self._latent_names()
        n = len(names)
        place: Any = names.index(index) if index in names else index
        if not isinstance(place, int | np.integer) or not -n <= place < n:
            raise ValueError(
                f"index must name one of {n} latents, got {index!r}: names are {names[0]} to "
                f"{names[-1]}, positions {-n} to {n - 1}"
            )
        cohort, d = self._latents(X)
        offsets = np.linspace(-span, span, n_steps) if np.ndim(span) == 0 else np.asarray(span)
        d = d.repeat(len(offsets), axis=0)
        d[:, place] += np.tile(offsets, len(cohort.x))
        patches = self._decode(d, self._condition(cohort).repeat(len(offsets), axis=0))
        return patches.reshape(len(cohort.x), len(offsets), *patches.shape[1:])

    def score_samples(self, X: Any) -> np.ndarray:
        """Compute the evidence lower bound of each lesion, in the units of the loss.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_lesions,)
            -(reconstruction + beta * KL) at the posterior means, higher is better; NaN without an
            image. Models with a background use the label for which the bound is larger.
        """
        return lower_bound(self, X, self.beta)

    def score(self, X: Any, y: Any = None) -> float:
        """Compute the mean evidence lower bound per lesion; higher is better.

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


def _no_lesions(name: str, grid: tuple[int, ...], X: Any) -> str:
    """Return the message to a user who gives a matrix to a model of patches."""
    return (
        f"{name} was fitted on lesions with patches of shape {grid} (channels first), and X, of "
        f"type {type(X).__name__}, has none: give a LesionTable. Functions that turn it to an "
        "array, such as permutation_importance, take the steps after this one and what it "
        "returns: permutation_importance(pipeline[1:], pipeline[:1].transform(table), y)"
    )


def lower_bound(estimator: VAEEstimator, X: Any, beta: float) -> np.ndarray:
    """Compute -(reconstruction + beta * KL) of each lesion; NaN without an image.

    Parameters
    ----------
    estimator : VAEEstimator
        The fitted model.
    X : LesionTable or array of shape (n_samples, n_features)
        As at `fit`.
    beta : float
        Weight of the KL term.

    Returns
    -------
    array of shape (n_lesions,)
        The bounds at the posterior means, in the units of the loss.
    """
    from nonredundant.nn.training import elbo

    check_is_fitted(estimator, "net_")
    cohort = estimator._read(X, reset=False)
    bounds = np.full(len(cohort.x), np.nan)
    bounds[cohort.usable] = elbo(estimator.net_, estimator._dataset(cohort), CHUNK, beta)
    return bounds


def collapsed(values: np.ndarray, names: list[str]) -> list[str]:
    """Return the names of the collapsed latents and warn if most are collapsed.

    Parameters
    ----------
    values : array of shape (n_lesions, n_latents)
        Posterior means; the prior has variance 1.
    names : list of str
        Names of the latents.

    Returns
    -------
    list of str
        Latents with a variance below 0.01 (Burda, Grosse & Salakhutdinov 2016, section 5.2).
    """
    dead = [
        name for name, v in zip(names, np.nanvar(values, axis=0), strict=True) if v < LEAST_VARIANCE
    ]
    if 2 * len(dead) > len(names):
        warn_user(
            f"{len(dead)} of {len(names)} latents are collapsed (variance of the posterior mean "
            f"below {LEAST_VARIANCE}): {', '.join(dead[:5])}{', …' if len(dead) > 5 else ''}; "
            "lower beta, train longer, or ask for fewer latents",
            "collapsed latents",
        )
    return dead
