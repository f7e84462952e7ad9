"""What repeats of inner cross-validation and trees of a forest are worth in small cohorts.

Fifty patients of each table in the folder `tables` below `$NONREDUNDANT_DATA` are trained on, the
others are predicted. Sixteen columns, drawn at random, take the place of the learned block.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from reporting import write_section
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold, train_test_split

from nonredundant.classifiers.builtin import make_pipeline
from nonredundant.classifiers.tuning import TrainingRows, tune

N_TRAIN, N_LEARNED, N_DRAWS = 50, 16, 6
#: Columns that are kept of a wide table.
N_COLUMNS = 200
#: What is varied: repeats of five inner folds, or trees. The first is the reference.
VARIED = {"LR": (4, 2, 1), "SVM": (4, 2, 1), "RF": (200, 100, 60)}


def area(y: np.ndarray, response: np.ndarray) -> float:
    """Return the AUC of the last column of responses."""
    return float(roc_auc_score(y, response[:, -1]))


def fitted(name: str, number: int, X: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """Tune and fit a classifier."""
    pipeline = make_pipeline(name, None, X.shape[1] - N_LEARNED, class_weight="balanced")
    repeats = 1 if name == "RF" else number
    if name == "RF":
        pipeline.set_params(classifier__n_estimators=number)
    inner = RepeatedStratifiedKFold(n_splits=5, n_repeats=repeats, random_state=seed)
    rows = TrainingRows(X, y, X.shape[1] - N_LEARNED, list(inner.split(X, y)))
    return tune(name, pipeline, rows, learned=True, own=False, metric=area).model


def measured(path: Path, draw: int) -> Iterator[dict[str, Any]]:
    """Yield the scores of each classifier on patients that it has not seen."""
    frame = pd.read_csv(path).select_dtypes("number").drop(columns="ID", errors="ignore")
    y = frame.pop("Target").to_numpy().astype(int)
    columns = np.random.default_rng(draw).permutation(frame.shape[1])[:N_COLUMNS]
    X = frame.to_numpy(dtype=float)[:, columns]
    if len(y) < 1.5 * N_TRAIN:
        return
    train, test = train_test_split(
        np.arange(len(y)), train_size=N_TRAIN, stratify=y, random_state=draw
    )
    for name, numbers in VARIED.items():
        for number in numbers:
            start = time.process_time()
            model = fitted(name, number, X[train], y[train], draw)
            seconds = time.process_time() - start
            p = model.predict_proba(X[test])[:, 1]
            yield {
                "table": path.name.split(".")[0],
                "classifier": name,
                "number": number,
                "AUC": roc_auc_score(y[test], p),
                "Brier score": brier_score_loss(y[test], p),
                "seconds": seconds,
            }


def rows_of(path: Path, draw: int) -> list[dict[str, Any]]:
    """Return the scores of one draw from one table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(measured(path, draw))


def difference(means: pd.DataFrame, number: int, reference: int) -> str:
    """Describe a mean difference of tables and its standard error."""
    if number == reference:
        return "–"
    values = means[number] - means[reference]
    return f"{values.mean():+.4f} ± {values.sem():.4f}"


def main() -> None:
    """Measure all tables and write the section."""
    paths = sorted((Path(os.environ["NONREDUNDANT_DATA"]) / "tables").glob("*.csv.gz"))
    calls = [delayed(rows_of)(path, draw) for path in paths for draw in range(N_DRAWS)]
    scores = pd.DataFrame([row for rows in Parallel(n_jobs=2)(calls) for row in rows])
    lines = [
        f"{scores['table'].nunique()} tables of public cohorts, {N_TRAIN} patients of each to "
        f"train on and the others to predict, {N_DRAWS} draws; {N_LEARNED} of at most {N_COLUMNS} "
        "columns as the learned block, so that its weight is tuned, too. Differences are means "
        "over tables ± their standard error, against the first row of the classifier.",
        "",
        "| classifier | repeats of five inner folds, or trees | AUC | difference | Brier score | "
        "difference | seconds of a processor |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, numbers in VARIED.items():
        own = scores[scores["classifier"] == name]
        tables = {
            metric: own.pivot_table(index="table", columns="number", values=metric)
            for metric in ("AUC", "Brier score", "seconds")
        }
        for number in numbers:
            cells = [
                f"{tables[metric][number].mean():.3f} | "
                f"{difference(tables[metric], number, numbers[0])}"
                for metric in ("AUC", "Brier score")
            ]
            seconds = f"{tables['seconds'][number].mean():.2f}"
            lines.append(f"| {name} | {number} | {' | '.join(cells)} | {seconds} |")
    lines += [
        "",
        "The package repeats inner folds twice where fewer than 160 samples train, and has "
        "forests of 100 trees.",
    ]
    write_section("inner_cv.py", "Inner cross-validation of small cohorts", "\n".join(lines))


if __name__ == "__main__":
    main()
