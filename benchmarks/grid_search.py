"""Grid search of the README's pipeline: what its steps share, beside the same written naively."""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from reporting import write_section
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions

FOLDS = 5
#: Candidates of `clf__C`.
CANDIDATES = np.logspace(-3, 2, 6)
REQUIRED = 5.0


def write_cases(n: int, folder: Path) -> tuple[pd.DataFrame, Any]:
    """Return phantoms as a case table of files, and their labels."""
    import SimpleITK as sitk

    cases, y, _ = make_lesions(n, random_state=0)
    rows = {}
    for name, case in cases.iterrows():
        rows[name] = {part: str(folder / f"{name}-{part}.nrrd") for part in ("image", "mask")}
        for part, path in rows[name].items():
            voxels = np.asarray(case[part])
            image = sitk.GetImageFromArray(voxels.astype("uint8" if part == "mask" else "float32"))
            sitk.WriteImage(image, path)
    return pd.DataFrame.from_dict(rows, orient="index"), y


def make_search(folder: str | None, jobs: int, epochs: int, side: int) -> GridSearchCV:
    """Return the grid search; `folder` keeps what the candidates share, None shares nothing."""
    extractor = RadiomicsExtractor(bin_width=0.25, patch_shape=(side,) * 3, memory=folder)
    pipeline = Pipeline(
        [
            ("extract", extractor),
            ("cvae", NonRedundantCVAE(dlr_size=16, max_epochs=epochs, random_state=0)),
            ("scale", StandardScaler()),
            ("clf", LogisticRegression(max_iter=1000)),
        ],
        memory=folder,
    )
    cv = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    grid = {"clf__C": CANDIDATES}
    return GridSearchCV(pipeline, grid, cv=cv, scoring="roc_auc", n_jobs=jobs, error_score="raise")


def run(
    cases: pd.DataFrame, y: Any, jobs: int, epochs: int, side: int, *, shared: bool
) -> tuple[float, np.ndarray]:
    """Return the seconds of a search and its scores, candidate by fold."""
    with tempfile.TemporaryDirectory() as folder:
        search = make_search(folder if shared else None, jobs, epochs, side)
        start = time.perf_counter()
        search.fit(cases, y)
        seconds = time.perf_counter() - start
    found = [search.cv_results_[f"split{fold}_test_score"] for fold in range(FOLDS)]
    return seconds, np.column_stack(found)


def measure(
    n: int, jobs: int, epochs: int, side: int, rounds: int
) -> tuple[list[tuple[float, float]], float]:
    """Return the seconds of both ways in each round, and the largest difference of scores."""
    seconds, differences = [], []
    with tempfile.TemporaryDirectory() as files:
        cases, y = write_cases(n, Path(files))
        # The first call imports the libraries and starts the processes.
        run(cases[:20], y[:20], jobs, 1, 8, shared=True)
        for _ in range(rounds):
            shared, scores = run(cases, y, jobs, epochs, side, shared=True)
            naive, expected = run(cases, y, jobs, epochs, side, shared=False)
            seconds.append((shared, naive))
            differences.append(np.abs(scores - expected).max())
    return seconds, max(differences)


def describe(jobs: int, seconds: list[tuple[float, float]], difference: float) -> str:
    """Return one row of the table."""
    shared, naive = np.array(seconds).T
    ratios = naive / shared
    return (
        f"| {jobs} | {np.median(shared):.1f} | {np.median(naive):.1f} | {np.median(ratios):.1f} "
        f"({ratios.min():.1f}–{ratios.max():.1f}) | {difference:.1g} |"
    )


def main() -> None:
    """Measure both ways with one and with two processes, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--print", action="store_true", help="do not write the section")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [
        describe(
            jobs, *measure(options.samples, jobs, options.epochs, options.side, options.rounds)
        )
        for jobs in options.jobs
    ]
    body = "\n".join(
        [
            f"`GridSearchCV` over {len(CANDIDATES)} values of `clf__C` in {FOLDS} folds, with the "
            f"refit, of extractor, CVAE ({options.epochs} epochs), scaler and logistic regression "
            f"on {options.samples} phantoms in files with patches of {options.side}³. Shared: "
            "`RadiomicsExtractor(memory=folder)` and scikit-learn's own `Pipeline(memory=folder)`, "
            "the folder empty at the start. Naive: neither, so that each candidate extracts and "
            f"trains anew. {options.rounds} rounds, both ways in turn.",
            "",
            "| `n_jobs` | shared: seconds (median) | naive | median ratio (range), required: at "
            f"least {REQUIRED:.0f} | largest difference of a score |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "With two processes the five networks take three turns and that of the refit, which is "
            "trained alone, a fourth; the naive search takes sixteen.",
        ]
    )
    print(body) if options.print else write_section("grid_search.py", "Grid search", body)


if __name__ == "__main__":
    main()
