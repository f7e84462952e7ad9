"""Coverage of the intervals of a difference of two models, with and without a gain.

Simulated cohorts: 40 correlated features h of five factors, of which one affects the outcome, and
16 latents d, of which the first has the stated effect (log-odds, or log-hazard, per standard
deviation). Both sets are compared as a comparison does it: two classes and groups of two by the
AUC of cross-validation, three classes and times over folds. The truth is the mean over cohorts.
`python benchmarks/difference_intervals.py` prints the table and writes it into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from reporting import write_section
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from nonredundant.classifiers.cox import RidgeCox
from nonredundant.folds.splits import default_repeats
from nonredundant.statistics import (
    concordance_index,
    cross_validated_auc_difference,
    resampled_test,
)

N_H, N_D, FOLDS = 40, 16, 5
MIXING = np.random.default_rng(1).normal(size=(5, N_H))
EFFECTS = (0.0, 0.6, 1.0, 1.7)
TIMES = [("event", bool), ("time", float)]


def features(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the factors, h and d."""
    factors = rng.normal(size=(n, 5))
    return factors, factors @ MIXING + rng.normal(size=(n, N_H)), rng.normal(size=(n, N_D))


def logistic_model() -> LogisticRegression:
    """Return the classifier of two and three classes."""
    return LogisticRegression(C=0.01, solver="newton-cholesky")


def by_auc(x: tuple, y: np.ndarray, groups: np.ndarray | None, seed: int) -> object:
    """Compare the AUC of fused features and of h."""
    n = len(y)
    scores: list[list] = [[], []]
    places = []
    for repeat in range(default_repeats(n)):
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splitter = kind(FOLDS, shuffle=True, random_state=1000 * seed + repeat)
        folds, found = np.empty(n, dtype=int), np.empty((2, n))
        for number, (train, test) in enumerate(splitter.split(x[0], y, groups)):
            folds[test] = number
            for row, values in zip(found, x, strict=True):
                model = logistic_model().fit(values[train], y[train])
                row[test] = model.decision_function(values[test])
        places.append(folds)
        for kept, row in zip(scores, found, strict=True):
            kept.append(row)
    fused, known = (np.stack(kept, axis=1) for kept in scores)
    return cross_validated_auc_difference(y, fused, known, np.stack(places, axis=1), groups=groups)


def over_folds(x: tuple, y: np.ndarray, strata: np.ndarray, score: Callable, seed: int) -> object:
    """Compare a score of fused features and of h over the folds."""
    differences = []
    for repeat in range(default_repeats(len(y))):
        splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=1000 * seed + repeat)
        for train, test in splitter.split(x[0], strata):
            fused, known = (score(v[train], y[train], v[test], y[test]) for v in x)
            differences.append(fused - known)
    share = (FOLDS - 1) / FOLDS
    return resampled_test(differences, len(y) * share, len(y) * (1 - share))


def auc_of_classes(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray) -> float:
    """Return the AUC of each of three classes against the rest."""
    p = logistic_model().fit(x, y).predict_proba(new)
    return float(roc_auc_score(truth, p, multi_class="ovr"))


def concordance(x: np.ndarray, y: np.ndarray, new: np.ndarray, truth: np.ndarray) -> float:
    """Return the concordance of Cox regression."""
    return concordance_index(
        truth["event"], truth["time"], RidgeCox(alpha=1.0).fit(x, y).predict(new)
    )


def two_classes(n: int, effect: float, prevalence: float, seed: int) -> object:
    """Compare on one cohort of two classes."""
    rng = np.random.default_rng([seed, n])
    factors, h, d = features(n, rng)
    base = np.random.default_rng(5)
    large = base.normal(size=200_000) * np.sqrt(1 + effect**2) + base.logistic(size=200_000)
    score = factors[:, 0] + effect * d[:, 0] + rng.logistic(size=n)
    y = (score > np.quantile(large, 1 - prevalence)).astype(int)
    if np.bincount(y, minlength=2).min() < FOLDS:
        return None
    return by_auc((np.hstack([h, d]), h), y, None, seed)


def groups_of_two(n: int, effect: float, prevalence: float, seed: int) -> object:
    """Compare on lesions of which two belong to a patient, alike in all that is drawn."""
    rng = np.random.default_rng([seed, n])
    groups = np.repeat(np.arange(n // 2), 2)
    factors, h, d = (part[groups] for part in features(n // 2, rng))
    h = h + rng.normal(size=h.shape)
    d = np.sqrt(0.5) * (d + rng.normal(size=d.shape))
    score = factors[:, 0] + effect * d[:, 0] + 0.7 * rng.logistic(size=n // 2)[groups]
    y = (score + 0.5 * rng.logistic(size=n) > 0).astype(int)
    return by_auc((np.hstack([h, d]), h), y, groups, seed)


def three_classes(n: int, effect: float, prevalence: float, seed: int) -> object:
    """Compare on one cohort of three classes."""
    rng = np.random.default_rng([seed, n])
    factors, h, d = features(n, rng)
    score = factors[:, 0] + effect * d[:, 0] + rng.logistic(size=n)
    y = np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))
    return over_folds((np.hstack([h, d]), h), y, y, auc_of_classes, seed)


def times(n: int, effect: float, prevalence: float, seed: int) -> object:
    """Compare on one cohort of times, about a third of them censored."""
    rng = np.random.default_rng([seed, n])
    factors, h, d = features(n, rng)
    time = rng.exponential(np.exp(-(factors[:, 0] + effect * d[:, 0])))
    censoring = rng.exponential(np.median(time) * 3, n)
    y = np.empty(n, dtype=TIMES)
    y["event"], y["time"] = time <= censoring, np.minimum(time, censoring)
    return over_folds((np.hstack([h, d]), h), y, y["event"], concordance, seed)


def cells(sizes: list[int]) -> list[tuple]:
    """List what is simulated: name, function, prevalence, size, effect."""
    found: list[tuple] = []
    for n, prevalence in product(sizes, (0.5, 0.2, 0.1)):
        if prevalence * n >= 10:
            found += [("two classes", two_classes, prevalence, n, effect) for effect in EFFECTS]
    for name, function in (
        ("groups of two", groups_of_two),
        ("three classes", three_classes),
        ("times", times),
    ):
        found += [(name, function, np.nan, n, effect) for n, effect in product(sizes, EFFECTS)]
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--sizes", type=int, nargs="*", default=[60, 120, 400])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    rows = []
    for name, function, prevalence, n, effect in cells(options.sizes):
        tasks = (delayed(function)(n, effect, prevalence, seed) for seed in range(options.draws))
        found = pd.DataFrame([one for one in Parallel(options.jobs)(tasks) if one is not None])
        gain = found["estimate"].mean()
        inside = (found["low"] <= gain) & (gain <= found["high"])
        rows.append(
            {
                "outcome": name,
                "n": n,
                "prevalence": prevalence,
                "effect": effect,
                "gain": gain,
                "coverage": inside.mean(),
                "half width": (found["high"] - found["low"]).mean() / 2,
                "p < 0.05 and a gain": ((found["p_value"] < 0.05) & (found["estimate"] > 0)).mean(),
                "draws": len(found),
            }
        )
        print(pd.Series(rows[-1]).to_frame().T.to_string(header=False), flush=True)
        write_section(
            "difference_intervals.py", "Intervals of a difference", section(rows, options)
        )


def section(rows: list[dict], options: argparse.Namespace) -> str:
    """Write the table."""
    error = np.sqrt(0.95 * 0.05 / options.draws)
    table = pd.DataFrame(rows).to_markdown(index=False, floatfmt=".3g")
    return (
        "Share of 95 % intervals that contain the mean difference over all simulated cohorts "
        f"(standard deviation of such a share at .95: {error:.3f}); five folds, repeats as by "
        f"default, ridge models.\n\n{table}"
    )


if __name__ == "__main__":
    main()
