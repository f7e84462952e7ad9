"""What the models with common and salient latents share: labels, outputs, swapping."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from nonredundant._cohort import Cohort, label_weights
from nonredundant._family import TRAINING_CONSTRAINTS
from nonredundant._generation import GenerativeMethods
from nonredundant._validation import HasMethods, Interval, StrOptions

WEIGHT = [Interval(Real, 0, None, closed="left")]
#: Constraints of the parameters that both models have.
CONTRASTIVE_CONSTRAINTS: dict[str, Any] = {
    **TRAINING_CONSTRAINTS,
    "augment": [None, callable, list, tuple],
    "common_size": [Interval(Integral, 1, None, closed="left")],
    "salient_size": [Interval(Integral, 1, None, closed="left")],
    "salient_beta": [None, *WEIGHT],
    "independence": [
        None,
        StrOptions({"density-ratio", "dcor", "hsic", "cross-covariance"}),
        HasMethods(["penalty", "reset"]),
    ],
    "kappa": WEIGHT,
    "output": [StrOptions({"both", "common", "salient"})],
}


def target_labels(y: Any, cohort: Cohort) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes, background first, each lesion's class position and its weight.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        0 for background; any other values are classes of target.
    cohort : Cohort
        The lesions.

    Returns
    -------
    classes, labels, weight : arrays
        As `encode_labels` gives them, without unlabelled samples.

    Raises
    ------
    ValueError
        If y is missing, of another length, has unlabelled samples, no background or no target.
    """
    if y is None:
        raise ValueError(
            "this model requires y to be passed, but the target y is None; y is 0 for background "
            "and 1 for targets"
        )
    labels = pd.Series(np.asarray(y).ravel())
    n_samples = int(cohort.sample[-1]) + 1
    if len(labels) != n_samples:
        raise ValueError(f"y has {len(labels)} labels but there are {n_samples} samples")
    numeric = pd.api.types.is_numeric_dtype(labels.dtype)
    unlabelled = (labels.isna() | (numeric & (labels == -1))).to_numpy()
    if unlabelled.any():
        raise ValueError(
            f"{unlabelled.sum()} samples have no label (NaN or -1), the first at position "
            f"{int(np.argmax(unlabelled))}: a contrastive model must know who is background (0) "
            "and who is target; leave these samples out"
        )
    background = (labels == 0).to_numpy()
    targets = np.unique(labels[~background].to_numpy())
    if background.all() or not background.any():
        raise ValueError(
            f"y holds {int(background.sum())} samples of background (0) and "
            f"{int((~background).sum())} targets (other values; here {targets[:5].tolist()}): "
            "a contrastive model needs both"
        )
    classes = np.concatenate([np.zeros(1, dtype=targets.dtype), targets])
    positions = np.zeros(len(labels), dtype=np.int64)
    positions[~background] = 1 + np.searchsorted(targets, labels[~background].to_numpy())
    return classes, positions[cohort.sample], label_weights(cohort)


class CommonSalientModel(GenerativeMethods):
    """Base of `SepVAE` and `ContrastiveVAE`."""

    common_size: int
    salient_size: int
    independence: Any
    kappa: float
    network: Any
    output: str
    classes_: np.ndarray

    def _module_options(self, n_classes: int) -> dict[str, Any]:
        """Return what the module takes beside sizes and networks."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any) -> Any:
        """Train the model on background and targets.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions with patches, whose features are not used; or a matrix, encoded by row.
        y : array-like of shape (n_samples,)
            0 for background; any other values are classes of target.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If the table has no usable patches, a sample is unlabelled, or y lacks background
            or targets.
        FloatingPointError
            If a term of the loss stops being a number; the message names term and epoch.
        """
        self._validate_params()
        cohort = self._read(X, reset=True)
        classes, labels, weight = target_labels(y, cohort)
        spec = {
            "shape": tuple(cohort.shape),
            "n_channels": cohort.n_channels,
            "n_common": self.common_size,
            "n_salient": self.salient_size,
            "network": self.network,
            **self._module_options(len(classes)),
        }
        self._train(cohort, self._condition(cohort), labels, weight, spec)
        self.classes_ = classes
        self._settle(cohort)
        return self

    def _term(self) -> Any:
        if self.independence is None or self.kappa == 0:
            return None
        from nonredundant.independence import resolve_independence

        term = resolve_independence(self.independence)
        if isinstance(self.independence, str):
            # What evens out the directions of given features would here steer the common
            # encoder, which is trained, through an unstable gradient.
            plain = {"equal_directions": False, "second_order": 0.0}
            term.set_params(**{k: v for k, v in plain.items() if k in term.get_params()})
        return term

    def _sizes(self) -> tuple[int, int]:
        """Return the fitted sizes of c and s."""
        return self.net_.module_.pair_sizes

    def _latent_names(self) -> list[str]:
        n_common, n_salient = self._sizes()
        common = [f"common{i:02d}" for i in range(n_common)]
        return common + [f"salient{i:02d}" for i in range(n_salient)]

    def _columns(self) -> slice:
        """Return which latents `output` asks for."""
        n_common, _ = self._sizes()
        return {
            "both": slice(None),
            "common": slice(n_common),
            "salient": slice(n_common, None),
        }[self.output]

    def _names_out(self) -> list[str]:
        return self._latent_names()[self._columns()]

    def transform(self, X: Any) -> Any:
        """Return the posterior means of each lesion's latents; no label is needed.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.

        Returns
        -------
        array of shape (n_samples, n_columns), DataFrame or LesionTable
            The common latents, the salient ones, or both, as `output` says; with several lesions
            a sample, a table with them as features.
        """
        _, z = self._latents(X)
        return self._rows(z[:, self._columns()], X)

    def reconstruct(self, X: Any, *, salient: bool = True) -> np.ndarray:
        """Return the reconstruction of each lesion, or of its background counterpart.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.
        salient : bool, default=True
            False decodes the common latents alone: the image as it were in the background.

        Returns
        -------
        array of shape (n_lesions, C, *spatial)
            Patches in the images' intensity units.
        """
        cohort, z = self._latents(X)
        if not salient:
            z[:, self._sizes()[0] :] = 0.0
        return self._decode(z, self._condition(cohort))

    def swap(self, X_common: Any, X_salient: Any) -> np.ndarray:
        """Return images with the common part of one and the salient part of another.

        Parameters
        ----------
        X_common, X_salient : LesionTable or array of shape (n_samples, n_features)
            The givers of c and of s, equally many lesions, paired by row.

        Returns
        -------
        array of shape (n_lesions, C, *spatial)
            Patches in the images' intensity units.

        Raises
        ------
        ValueError
            If the two do not have the same number of lesions.
        """
        cohort, z = self._latents(X_common)
        _, other = self._latents(X_salient)
        if len(z) != len(other):
            raise ValueError(
                f"swap pairs lesions by row, but one side has {len(z)} and the other {len(other)}"
            )
        n_common = self._sizes()[0]
        z[:, n_common:] = other[:, n_common:]
        return self._decode(z, self._condition(cohort))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
