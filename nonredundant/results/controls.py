"""Negative controls: the tests of added information where there is nothing, or nothing new, to see.

Each control repeats the tests of the primary comparison with one part replaced. A claim among them
beyond what chance allows says that the data break the tests, whatever these say of the latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.folds.networks import LearnTask
from nonredundant.folds.study import FitResults, Study
from nonredundant.results.information import (
    Tested,
    outcome_residuals,
    tested_columns,
    three_tests,
)
from nonredundant.statistics.outcome_residuals import centred_outcome, out_of_fold_residuals
from nonredundant.statistics.permutations import exchangeable, permuted
from nonredundant.statistics.stacked_regression import normal_scores
from nonredundant.utils.context import one_thread, recorded_warnings

COLUMNS = ["control", "n_draws", "n_claims", "p_value", "meaning"]
#: Draws of each random control, and permutations of each test.
N_DRAWS, N_PERMUTATIONS = 10, 199
#: Level of all tests of a claim.
LEVEL = 0.05
#: Leading components that random functions of the known columns take, and their hidden units.
_N_COMPONENTS, _N_HIDDEN = 8, 16
SHUFFLED, FUNCTIONS, UNTRAINED = (
    "permuted outcome",
    "functions of the known columns",
    "untrained network",
)
_MEANINGS = {
    SHUFFLED: "nothing can be seen: claims are chance, at most 1 in 20",
    FUNCTIONS: "nothing new can be seen: more claims than chance show that the tests fail here",
    UNTRAINED: "a claim says that the images tell something which no training had to find",
}


@dataclass(frozen=True)
class ControlTask:
    """All tests of added information in one draw of a control.

    Attributes
    ----------
    control : str
        Which control.
    number : int
        Number of the draw.
    known, latents : array of shape (n, n_known), (n, n_d)
        Known columns and latents.
    truth : array of shape (n,)
        The outcome of the samples.
    residuals : array of shape (n, n_columns)
        What the reference leaves unexplained of it.
    groups, centres, strata : array of shape (n,) or None
        As for the tests.
    seed : int
        Seed of the draw.
    """

    control: str
    number: int
    known: np.ndarray
    latents: np.ndarray
    truth: np.ndarray
    residuals: np.ndarray
    groups: np.ndarray | None
    centres: np.ndarray | None
    strata: np.ndarray | None
    seed: int

    @property
    def name(self) -> str:
        """What is computed, for messages."""
        return f"the control {self.control!r}, draw {self.number}"

    @property
    def cost(self) -> int:
        """What orders the tasks by their time."""
        return len(self.known)

    def key(self, voxels: str) -> tuple[Any, ...]:
        """Return what identifies the result."""
        del voxels
        return astuple(self)

    def run(self) -> float:
        """Return the largest p-value of the tests; NaN if one is not possible."""
        rng = np.random.RandomState([self.seed, self.number])
        truth, residuals, latents = self.truth, self.residuals, self.latents
        with recorded_warnings(), one_thread(torch_too=False):
            if self.control == FUNCTIONS:
                latents = random_functions(self.known, latents.shape[1], rng)
            if self.control == SHUFFLED:
                truth = truth[self._order(rng)]
                residuals = self._residuals(truth, rng)
            options: dict[str, Any] = {
                "groups": self.groups,
                "strata": self.strata,
                "centres": self.centres,
                "n_permutations": N_PERMUTATIONS,
                "random_state": rng,
            }
            centred = centred_outcome(truth, continuous=self._numbers)
            tests = three_tests(residuals, centred, self.known, latents, **options)
        return float(np.max([test.p_value for test in tests]))

    def _order(self, rng: np.random.RandomState) -> np.ndarray:
        """Return an order of the samples that exchanges whole groups within centres."""
        n = len(self.truth)
        labels = (np.arange(n) if self.groups is None else self.groups, self.centres)
        groups, cells = (
            np.zeros(n, dtype=int) if one is None else np.unique(one, return_inverse=True)[1]
            for one in labels
        )
        return permuted(exchangeable(groups, cells), n, rng)

    def _residuals(self, truth: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Return what known columns leave unexplained of another outcome."""
        known = np.where(np.isnan(self.known), np.nanmedian(self.known, axis=0), self.known)
        # Three hospitals make three folds, not the usual five.
        cv = 5 if self.groups is None else min(5, len(np.unique(self.groups)))
        return out_of_fold_residuals(
            known,
            truth,
            cv=cv,
            groups=self.groups,
            random_state=rng,
            continuous=self._numbers,
        )

    @property
    def _numbers(self) -> bool:
        """Whether the outcome is continuous: classes are positions, times have fields."""
        return self.truth.dtype.kind == "f"


def random_functions(known: np.ndarray, n: int, rng: np.random.RandomState) -> np.ndarray:
    """Return random curved functions of the leading components of known columns.

    Parameters
    ----------
    known : array of shape (n_samples, n_known)
        Known columns; NaN for gaps.
    n : int
        Number of functions.
    rng : RandomState
        Draws them.

    Returns
    -------
    array of shape (n_samples, n)
        Sums of hyperbolic tangents, as of a network of random weights.

    Examples
    --------
    >>> rng = np.random.RandomState(0)
    >>> random_functions(rng.normal(size=(20, 5)), 2, rng).shape
    (20, 2)
    """
    scores = normal_scores(known)
    u, s, _ = np.linalg.svd(scores, full_matrices=False)
    used = min(_N_COMPONENTS, int((s > 1e-9 * s.max(initial=1.0)).sum()))
    components = u[:, :used] * np.sqrt(len(scores))
    hidden = np.tanh(components @ rng.normal(size=(used, _N_HIDDEN)) + rng.normal(size=_N_HIDDEN))
    return hidden @ rng.normal(size=(_N_HIDDEN, n))


def controls_table(study: Study, results: FitResults) -> pd.DataFrame:
    """Run the negative controls of the primary comparison.

    Parameters
    ----------
    study : Study
        What was run.
    results : FitResults
        Its networks and responses.

    Returns
    -------
    DataFrame
        `control, n_draws, n_claims, p_value, meaning`: in how many of the draws all tests had p
        below 0.05, and the smallest of their largest p-values. Empty if the primary set is not
        compared with what is known without its network.
    """
    primary = study.primary
    informed = {s.name: (s, reference) for s, reference in study.informed()}
    if not study.controls or primary.feature_set not in informed:
        return pd.DataFrame(columns=COLUMNS)
    feature_set, reference = informed[primary.feature_set]
    response = results.held.responses.get((reference, primary.classifier))
    if response is None:
        return pd.DataFrame(columns=COLUMNS)
    tested = tested_columns(study, results, feature_set)
    residuals = outcome_residuals(study.outcome, results.held.mean(reference, primary.classifier))
    tasks = [
        _task(study, tested, residuals, control, number)
        for control in (SHUFFLED, FUNCTIONS)
        for number in range(N_DRAWS)
    ]
    untrained = _untrained(study, results, feature_set.variant)
    if untrained is not None:
        tasks.append(_task(study, tested._replace(latents=untrained), residuals, UNTRAINED, 0))
    return _summary(tasks, study.runner.run(tasks, "controls"))


def _task(
    study: Study, tested: Tested, residuals: np.ndarray, control: str, number: int
) -> ControlTask:
    """Make the task of one draw, of the samples that have residuals and latents."""
    kept = ~np.isnan(residuals).any(axis=1) & ~np.isnan(tested.latents).any(axis=1)

    def at(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[kept]

    return ControlTask(
        control,
        number,
        tested.known[kept],
        tested.latents[kept],
        study.outcome.y[kept],
        residuals[kept],
        at(study.groups),
        at(study.cohort.centres),
        at(tested.strata),
        study.folds[0].seed,
    )


def _untrained(study: Study, results: FitResults, variant: Any) -> np.ndarray | None:
    """Return latents of the same network without training; None where there is no such network."""
    if variant not in results.whole or results.whole_data is None or variant.kind != "vae":
        return None
    known = study.cvae.get_params(deep=False)
    if not {"max_epochs", "lr"} <= set(known):
        return None
    # One epoch in steps of no size gives the layers that normalise their running means.
    network = study.cvae.__class__(**{**known, "max_epochs": 1, "lr": 1e-12})
    task = LearnTask(results.whole_data, variant, network)
    (record,) = study.runner.run([task], "an untrained network")
    return results.whole_data.train_of(record.samples.to_numpy())


def _summary(tasks: Sequence[ControlTask], values: Sequence[float]) -> pd.DataFrame:
    """Count the claims of each control; draws that allow no test do not count."""
    rows = []
    for control in dict.fromkeys(task.control for task in tasks):
        own = np.array(
            [p for task, p in zip(tasks, values, strict=True) if task.control == control]
        )
        own = own[~np.isnan(own)]
        smallest = own.min() if len(own) else np.nan
        rows.append((control, len(own), int((own < LEVEL).sum()), smallest, _MEANINGS[control]))
    return pd.DataFrame(rows, columns=COLUMNS)
