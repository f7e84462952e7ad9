"""The samples of a comparison before any fold."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nonredundant.folds.outcome import Outcome
from nonredundant.folds.select_features import SelectFeatures
from nonredundant.folds.steps import Step, sees_labels
from nonredundant.lesions.table import LesionTable


@dataclass(frozen=True)
class Cohort:
    """The samples of a comparison before any fold, and the steps that each fold learns.

    Attributes
    ----------
    table : LesionTable
        Lesions of the cohort; samples from `n` on are the held-out test set.
    outcome : Outcome
        The outcome of the cohort, and of the test set.
    steps : list of (str, transformer)
        The untrained steps, the encoding of clinical columns first.
    groups, test_groups : array or None
        The group of each sample of the cohort, which no split divides, and of the test set.
    centres : array or None
        The centre of each sample of the cohort; tests permute within centres.
    extractor : str or None
        The extractor; None if lesions were given in place of images.
    failed : dict of str to str
        Case → reason why its extraction failed; such cases are not in the table.
    flow : tuple of (str, int, str)
        Stage, number of cases left, and how many were lost and why.
    """

    table: LesionTable
    outcome: Outcome
    steps: list[Step]
    groups: np.ndarray | None = None
    test_groups: np.ndarray | None = None
    centres: np.ndarray | None = None
    extractor: str | None = None
    failed: dict[str, str] = field(default_factory=dict)
    flow: tuple[tuple[str, int, str], ...] = ()

    @property
    def n(self) -> int:
        """Number of samples without the test set."""
        return len(self.outcome.y)

    @property
    def depends_on_labels(self) -> bool:
        """Whether a step sees the outcome."""
        return any(sees_labels(step) for _, step in self.steps)

    @property
    def labels_reach_networks(self) -> bool:
        """Whether a step sees the outcome, and what it makes of it reaches networks.

        Networks are given the columns that steps leave out, too, so that selections after all other
        steps change nothing for them.
        """
        steps = [step for _, step in self.steps]
        while steps and type(steps[-1]) is SelectFeatures:
            steps.pop()
        return any(sees_labels(step) for step in steps)
