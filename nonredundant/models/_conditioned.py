"""What a model has that is given features h: which they are, and what it draws from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from nonredundant._cohort import Cohort
from nonredundant._generation import GenerativeMethods
from nonredundant._hcr import FeatureScaler


class ConditionedModel(GenerativeMethods):
    """Base of `NonRedundantCVAE`: reads h, passes features on, and decodes from h."""

    hcr_size: int | None
    independent_of: Sequence[str]
    condition_decoder: bool
    contrastive: bool
    n_dlr_: int

    def _check_blocks(self, cohort: Cohort) -> None:
        """Raise unless the blocks that make up h exist and are there where they must be."""
        blocks = tuple(self.independent_of)
        if not blocks or not set(blocks) <= {"hcr", "clinical"}:
            raise ValueError(f"independent_of takes 'hcr' and 'clinical', got {blocks!r}")
        if "clinical" in blocks and "clinical" not in cohort.blocks.values():
            raise ValueError(
                f"independent_of={blocks!r} names 'clinical', but none of the {len(cohort.blocks)} "
                "columns is clinical: extract some with RadiomicsExtractor(clinical=[...]), or "
                "leave it out"
            )

    def _check_given(self, h: np.ndarray) -> None:
        """Raise where the background is to be decoded from h, but there is none."""
        if self.contrastive and not (self.condition_decoder and h.shape[1]):
            raise ValueError(
                f"contrastive=True decodes the background from h alone: it takes "
                f"condition_decoder=True (now {self.condition_decoder}) and usable features of the "
                f"blocks {tuple(self.independent_of)!r} (now {h.shape[1]})"
            )

    def _fit_scalers(self, cohort: Cohort) -> None:
        """Learn what makes h, and which other columns are passed on."""
        hcr = [name for name, block in cohort.blocks.items() if block == "hcr"]
        rest = [name for name, block in cohort.blocks.items() if block == "clinical"]
        usable = cohort.features[cohort.usable]
        self.hcr_scaler_ = FeatureScaler(self.hcr_size if hcr else None).fit(usable[hcr])
        self.clinical_scaler_ = FeatureScaler().fit(usable[rest])

    def _condition(self, cohort: Cohort) -> np.ndarray:
        """Return h: the scaled features of the blocks that d must not repeat."""
        scalers = {"hcr": self.hcr_scaler_, "clinical": self.clinical_scaler_}
        return np.hstack([scalers[b].transform(cohort.features) for b in self.independent_of])

    def _passed_on(self, cohort: Cohort) -> np.ndarray:
        """Return the features of the output."""
        scaler = self.hcr_scaler_
        hcr = scaler.impute if scaler.n_components is None else scaler.transform
        return np.hstack([hcr(cohort.features), self.clinical_scaler_.impute(cohort.features)])

    def reconstruct(self, X: Any, *, salient: bool = True) -> np.ndarray:
        """Return the network's reconstruction of each lesion from h and its latents, or h alone.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            As at `fit`.
        salient : bool, default=True
            False puts 0, the prior's mean, in the place of d: the image that h foretells, or in
            the contrastive mode the image as it were in the background.

        Returns
        -------
        array of shape (n_lesions, C, *spatial)
            Patches in the images' intensity units; meaningful inside the lesion's mask.
        """
        cohort, d = self._latents(X)
        return self._decode(d if salient else np.zeros_like(d), self._condition(cohort))

    def sample(self, X: Any, *, random_state: Any = None) -> np.ndarray:
        """Return lesions drawn from the model: d from its (targets') prior, h of the given lesions.

        Parameters
        ----------
        X : LesionTable or array of shape (n_samples, n_features)
            Lesions whose h is used.
        random_state : int, Generator or None, default=None
            Source of the draws.

        Returns
        -------
        array of shape (n_lesions, C, *spatial)
            Patches in the images' intensity units.
        """
        check_is_fitted(self, "net_")
        cohort = self._read(X, reset=False)
        d = np.random.default_rng(random_state).normal(size=(len(cohort.x), self.n_dlr_))
        return self._decode(d, self._condition(cohort))
