"""Size and power of the test of added information, and coverage of cross-validated intervals.

Simulated cohorts: 40 correlated features h that explain the outcome by one factor, 16 latents d of
which the first has the stated effect (log-odds per standard deviation). `python benchmarks/gain.py`
prints the tables and writes them into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from reporting import write_section
from scipy import special
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant.folds.splits import default_repeats
from nonredundant.statistics import (
    cross_validated_auc,
    cross_validated_auc_difference,
    resampled_interval,
    resampled_test,
)
from nonredundant.statistics.added_information import (
    added_information_of_residuals,
    double_residual,
    similarity_corrected,
)

N_H, N_D, FOLDS = 40, 16, 5


def draw(n: int, effect: float, shared: float, seed: int) -> tuple:
    """Draw h, d and the outcome; d shares a part of its variance with h."""
    rng = np.random.default_rng([seed, n])
    factors = rng.normal(size=(n, 5))
    mixing = np.random.default_rng(1).normal(size=(5, N_H))
    h = factors @ mixing + rng.normal(size=(n, N_H))
    d = rng.normal(size=(n, N_D))
    copy = (h - h.mean(axis=0)) / h.std(axis=0)
    d = np.sqrt(1 - shared) * d + np.sqrt(shared) * copy[:, :N_D]
    y = rng.uniform(size=n) < special.expit(factors[:, 0] + effect * d[:, 0])
    return h, d, y.astype(int)


def predict(x: np.ndarray, y: np.ndarray, splits: list) -> np.ndarray:
    """Return out-of-fold probabilities of a ridge logistic regression."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, solver="newton-cholesky"))
    found = np.empty(len(y))
    for train, test in splits:
        found[test] = model.fit(x[train], y[train]).predict_proba(x[test])[:, 1]
    return found


def study(n: int, effect: float, shared: float, seed: int, repeats: int) -> dict:
    """Test one simulated cohort in every way."""
    h, d, y = draw(n, effect, shared, seed)
    if np.bincount(y, minlength=2).min() < FOLDS:
        return {}
    parts: dict[str, list] = {"h": [], "both": [], "folds": []}
    aucs: dict[str, list] = {"h": [], "both": []}
    for repeat in range(repeats):
        splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=1000 * seed + repeat)
        splits = list(splitter.split(h, y))
        folds = np.empty(n, dtype=int)
        for number, (_, test) in enumerate(splits):
            folds[test] = number
        parts["folds"].append(folds)
        for name, x in (("h", h), ("both", np.hstack([h, d]))):
            parts[name].append(predict(x, y, splits))
            aucs[name] += [
                cross_validated_auc(y[test], parts[name][-1][test], np.zeros(len(test))).estimate
                for _, test in splits
            ]
    known, both, folds = (np.stack(parts[name], axis=1) for name in ("h", "both", "folds"))
    sizes = n * (FOLDS - 1) / FOLDS, n / FOLDS
    auc = cross_validated_auc(y, known, folds)
    difference = cross_validated_auc_difference(y, both, known, folds)
    residuals = y - known.mean(axis=1)
    fold_gain = np.subtract(aucs["both"], aucs["h"])
    return {
        "permutation": added_information_of_residuals(residuals, d, random_state=seed).p_value,
        "double": double_residual(residuals, h, d, random_state=seed).p_value,
        "similarity": similarity_corrected(y, h, d, random_state=seed).p_value,
        "p": difference.p_value,
        "p t": resampled_test(fold_gain, *sizes).p_value,
        "auc": auc.estimate,
        "low": auc.low,
        "high": auc.high,
        "gain": difference.estimate,
        "gain low": difference.low,
        "gain high": difference.high,
        **dict(zip(("t", "t low", "t high"), resampled_interval(aucs["h"], *sizes), strict=False)),
    }


def run(n: int, effect: float, shared: float, n_studies: int, n_jobs: int) -> pd.DataFrame:
    """Run all studies of one setting."""
    repeats = default_repeats(n)
    tasks = (delayed(study)(n, effect, shared, seed, repeats) for seed in range(n_studies))
    return pd.DataFrame([one for one in Parallel(n_jobs)(tasks) if one])


def shares(found: pd.DataFrame) -> dict[str, float]:
    """Return how often each test gave p below 0.05 in the direction of a gain."""
    up = found["gain"] > 0
    return {
        "permutation": (found["permutation"] <= 0.05).mean(),
        "double residual": (found["double"] <= 0.05).mean(),
        "similarity": (found["similarity"] <= 0.05).mean(),
        "all three": (found[["permutation", "double", "similarity"]].max(axis=1) <= 0.05).mean(),
        "difference of AUC": ((found["p"] < 0.05) & up).mean(),
        "corrected t of AUC": ((found["p t"] < 0.05) & up).mean(),
    }


def coverage(found: pd.DataFrame) -> dict[str, float]:
    """Return coverage of the mean over cohorts, and mean width, of the intervals."""
    truth, gain = found["auc"].mean(), found["gain"].mean()

    def share(low: str, high: str, value: float) -> float:
        return float(((found[low] <= value) & (value <= found[high])).mean())

    return {
        "AUC": truth,
        "coverage": share("low", "high", truth),
        "width": (found["high"] - found["low"]).mean(),
        "corrected t: coverage": share("t low", "t high", truth),
        "corrected t: width": (found["t high"] - found["t low"]).mean(),
        "difference: coverage": share("gain low", "gain high", gain),
        "difference: width": (found["gain high"] - found["gain low"]).mean(),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--null", type=int, default=1000, help="Studies without an effect.")
    parser.add_argument("--studies", type=int, default=300, help="Studies with an effect.")
    parser.add_argument("--sizes", type=int, nargs="*", default=[60, 120, 400])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    tests, intervals = [], []
    for n in options.sizes:
        for effect, shared in ((0, 0), (0, 0.1), (0.5, 0), (1, 0)):
            n_studies = options.studies if effect else options.null
            found = run(n, effect, shared, n_studies, options.jobs)
            place = {"n": n, "log-odds": effect, "d shares with h": shared, "studies": len(found)}
            tests.append({**place, **shares(found)})
            intervals.append({**place, **coverage(found)})
            print(pd.Series(tests[-1] | intervals[-1]).to_frame().T.to_string(), flush=True)
    tables = [
        pd.DataFrame(rows).to_markdown(index=False, floatfmt=".3g") for rows in (tests, intervals)
    ]
    text = (
        "Share of studies with p of at most 0.05 (for differences of AUC: and a gain). "
        "Without an effect it should be 0.05.\n\n{}\n\n"
        "Coverage of 95 % intervals: share that contain the mean over all simulated cohorts.\n\n{}"
    )
    write_section("gain.py", "Tests of a gain, and intervals", text.format(*tables))


if __name__ == "__main__":
    main()
