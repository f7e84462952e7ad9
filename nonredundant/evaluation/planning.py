"""Plan a study: how many patients show a gain of learned features over known ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nonredundant.folds.splits import default_repeats, make_folds
from nonredundant.results.information import three_tests
from nonredundant.statistics.cross_validation import (
    cross_validated_auc,
    cross_validated_auc_difference,
)
from nonredundant.statistics.development_size import development_size
from nonredundant.statistics.outcome_residuals import centred_outcome, class_residuals
from nonredundant.utils.context import one_thread
from nonredundant.utils.parallel import WorkerDiedError, run_tasks
from nonredundant.utils.progress import progress

#: Level of every statement.
LEVEL = 0.05
#: Permutations of each test, and columns of each block that the outcome depends on.
_N_PERMUTATIONS, _N_INFORMATIVE = 199, 5
_PENALTIES = np.logspace(-1, 4, 11)


@dataclass(frozen=True)
class StudyPlan:
    """What studies of several sizes would find; made by `plan_study`.

    Attributes
    ----------
    table : DataFrame
        One row per size: `n`, `power_gain` (share of simulated studies that would state a gain),
        `power_information` (share in which all tests of added information agree),
        `power_difference` (share in which the paired test of the AUC alone is significant),
        `auc_known`, `auc_fused` (means over studies) and `half_width` of the interval of their
        difference.
    patients : dict of str to float
        Patients for the wanted power by interpolation, for "gain" and "information"; NaN where
        no size reaches it.
    development : dict of str to int
        The sizes of `statistics.development_size` for the known and learned features.
    power : float
        The wanted power.

    Examples
    --------
    >>> from nonredundant import plan_study
    >>> plan = plan_study(0.7, 0.15, n=(60, 120), n_studies=2, random_state=0)
    >>> sorted(plan.patients), plan.development["patients"] > 120
    (['gain', 'information'], True)
    """

    table: pd.DataFrame
    patients: dict[str, float]
    development: dict[str, int]
    power: float

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return self.table.to_html(index=False, float_format="{:.3g}".format)

    def plot(self, ax: Any = None) -> Any:
        """Draw the power over the number of patients.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        Axes
            The axes.
        """
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=(4.8, 3.4)).gca() if ax is None else ax
        kinds = {"power_gain": "a gain is stated", "power_information": "information is stated"}
        for (name, label), style in zip(kinds.items(), ("-o", "--s"), strict=True):
            ax.plot(self.table["n"], self.table[name], style, label=label)
        ax.axhline(self.power, color="0.5", linestyle=":")
        ax.set(xscale="log", xlabel="patients", ylabel="power", ylim=(0, 1))
        ax.set_xticks(self.table["n"], [str(n) for n in self.table["n"]], minor=False)
        ax.minorticks_off()
        ax.legend(frameon=False)
        return ax


def plan_study(
    auc: float,
    gain: float,
    *,
    prevalence: float = 0.5,
    n: Sequence[int] = (60, 120, 250, 500),
    n_known: int = 20,
    n_learned: int = 16,
    power: float = 0.8,
    n_studies: int = 100,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> StudyPlan:
    """Simulate studies of several sizes, and count how many would show a gain.

    Each simulated study is cross-validated and judged as `compare_feature_sets` judges it: a gain
    is stated if the paired test of the AUC is significant and all tests of added information
    agree.

    Parameters
    ----------
    auc : float
        AUC that the known features would reach with coefficients known without error; models that
        learn them from n patients have less, which the table shows.
    gain : float
        Gain in this AUC by the learned features.
    prevalence : float, default=0.5
        Share of patients with the outcome.
    n : sequence of int, default=(60, 120, 250, 500)
        Numbers of patients.
    n_known, n_learned : int, default=20, 16
        Columns of both blocks, of which five each tell of the outcome. A radiomics table of 107
        correlated columns behaves like about twenty independent ones.
    power : float, default=0.8
        The wanted power.
    n_studies : int, default=100
        Simulated studies of each size; the standard error of a power of 0.8 is then 0.04.
    n_jobs : int, optional
        Number of processes.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    StudyPlan
        Power by size, the patients needed, and the sizes that development needs.

    Raises
    ------
    ValueError
        If a number is out of range, or a size leaves a class with fewer than five patients.

    Examples
    --------
    >>> plan = plan_study(0.7, 0.1, n=(60, 120), n_studies=4, random_state=0)
    >>> plan.table.columns.tolist()[:3]
    ['n', 'power_gain', 'power_information']
    """
    from sklearn.utils import check_random_state

    _check(auc, gain, prevalence, n)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    tasks = [
        (auc, gain, prevalence, size, n_known, n_learned, (seed, size, number))
        for size in n
        for number in range(n_studies)
    ]
    found: list[Any] = [None] * len(tasks)
    done = run_tasks(_study, tasks, n_jobs=n_jobs, what="simulating studies", ordered=False)
    for position, result in progress(done, total=len(tasks), what="Studies", unit="study"):
        if isinstance(result, WorkerDiedError):
            raise result
        found[position] = result
    columns = [
        "power_gain",
        "power_information",
        "power_difference",
        "auc_known",
        "auc_fused",
        "half_width",
    ]
    every = pd.DataFrame(found, columns=columns, dtype=float)
    every.insert(0, "n", [task[3] for task in tasks])
    table = every.groupby("n", sort=True).mean().reset_index()
    return StudyPlan(
        table,
        {kind: _needed(table, f"power_{kind}", power) for kind in ("gain", "information")},
        development_size(n_known + n_learned, prevalence, auc=auc + gain),
        power,
    )


def _check(auc: float, gain: float, prevalence: float, n: Sequence[int]) -> None:
    """Raise unless the assumptions make sense."""
    if not 0.5 <= auc < 1 or not 0 <= gain < 1 - auc or not auc + gain > 0.5:
        raise ValueError(
            f"auc must lie between 0.5 and 1 and gain between 0 and 1 - auc, got auc={auc!r}, "
            f"gain={gain!r}"
        )
    if not 0 < prevalence < 1:
        raise ValueError(f"prevalence must lie between 0 and 1, got {prevalence!r}")
    least = min(prevalence, 1 - prevalence) * min(n)
    if least < 5:
        raise ValueError(
            f"{min(n)} patients have {least:.1f} of the rarer class, and five folds need five: "
            "name larger n"
        )


def _study(
    auc: float,
    gain: float,
    prevalence: float,
    n: int,
    n_known: int,
    n_learned: int,
    seed: tuple[int, ...],
) -> tuple[float, ...]:
    """Simulate one study; return what it states, its AUCs and half the width of the interval."""
    rng = np.random.default_rng(seed)
    y = np.zeros(n, dtype=int)
    y[: round(prevalence * n)] = 1
    known, learned = _draw(auc, gain, y, (n_known, n_learned), rng)
    folds = make_folds(y, n_repeats=default_repeats(n), seed=int(rng.integers(2**31)))
    places = np.full((n, 1 + max(fold.repeat for fold in folds)), -1)
    scores = np.full((2, *places.shape), np.nan)
    with one_thread(torch_too=False):
        for fold in folds:
            places[fold.test, fold.repeat] = fold.fold
            for i, x in enumerate((known, np.hstack([known, learned]))):
                scores[i, fold.test, fold.repeat] = _predicted(x, y, fold.train, fold.test)
        base, fused = scores
        difference = cross_validated_auc_difference(y, fused, base, places)
        tests = three_tests(
            class_residuals(y, base.mean(axis=1)),
            centred_outcome(y),
            known,
            learned,
            strata=None,
            n_permutations=_N_PERMUTATIONS,
            random_state=int(rng.integers(2**31)),
        )
    informs = all(test.p_value < LEVEL for test in tests)
    differs = difference.p_value < LEVEL and difference.estimate > 0
    aucs = [cross_validated_auc(y, one, places).estimate for one in scores]
    return informs and differs, informs, differs, *aucs, (difference.high - difference.low) / 2


def _draw(
    auc: float, gain: float, y: np.ndarray, sizes: tuple[int, int], rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw normal columns of both blocks whose best sums have the assumed AUCs."""
    from scipy.special import ndtri

    known = np.sqrt(2) * ndtri(auc)
    learned = np.sqrt(max(2 * ndtri(auc + gain) ** 2 - known**2, 0.0))
    blocks = []
    for size, shift in zip(sizes, (known, learned), strict=True):
        told = min(size, _N_INFORMATIVE)
        x = rng.normal(size=(len(y), size))
        x[:, :told] += np.outer(y, np.full(told, shift / np.sqrt(told)))
        blocks.append(x)
    return blocks


def _predicted(x: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the scores of a ridge regression of the labels, its penalty chosen within `train`."""
    from sklearn.linear_model import RidgeCV

    mean, spread = x[train].mean(axis=0), x[train].std(axis=0)
    scaled = (x - mean) / np.where(spread > 0, spread, 1.0)
    return RidgeCV(_PENALTIES).fit(scaled[train], y[train]).predict(scaled[test])


def _needed(table: pd.DataFrame, name: str, power: float) -> float:
    """Interpolate the number of patients for a power on the scale of its logarithm."""
    reached = np.maximum.accumulate(table[name].to_numpy())
    sizes = np.log(table["n"].to_numpy(dtype=float))
    if reached[-1] < power:
        return float("nan")
    first = int(np.argmax(reached >= power))
    if first == 0:
        return float(table["n"].iloc[0])
    share = (power - reached[first - 1]) / (reached[first] - reached[first - 1])
    return float(np.exp(sizes[first - 1] + share * (sizes[first] - sizes[first - 1])))
