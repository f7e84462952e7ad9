"""The samples of a comparison before any fold."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nonredundant.folds.outcome import Outcome
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
    group_column : str or None
        Column of `table.samples` with the groups that no split divides.
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
    group_column: str | None = None
    extractor: str | None = None
    failed: dict[str, str] = field(default_factory=dict)
    flow: tuple[tuple[str, int, str], ...] = ()

    @property
    def n(self) -> int:
        """Number of samples without the test set."""
        return len(self.outcome.y)

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each sample of the cohort; None where they have none."""
        return self._groups(slice(None, self.n))

    @property
    def test_groups(self) -> np.ndarray | None:
        """The group of each sample of the test set; None where they have none."""
        return self._groups(slice(self.n, None))

    @property
    def depends_on_labels(self) -> bool:
        """Whether a step sees the outcome."""
        return any(sees_labels(step) for _, step in self.steps)

    def _groups(self, rows: slice) -> np.ndarray | None:
        """Return the groups of some samples; None if one of them has none."""
        if self.group_column is None:
            return None
        groups = self.table.samples[self.group_column].iloc[rows].infer_objects()
        return None if groups.empty or groups.isna().any() else groups.to_numpy()
