"""Selection of features and classifiers by name, on published tables of radiomics.

The tables are those of radMLBench (Demircioğlu 2025) in the folder `tables` below
`$NONREDUNDANT_DATA`: a column `Target` and radiomics. Names of tables as arguments choose others.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from reporting import write_section

from nonredundant import LesionTable, SelectFeatures, compare_feature_sets

#: Tables of about a hundred columns, which take a minute of CPU each.
TABLES = ("HNSCC", "Head-Neck-Radiomics-HN1", "LNDb", "NSCLC-Radiogenomics")
STEPS = {
    "none": [],
    "mrmr:20": [SelectFeatures("mrmr", k=20)],
    "univariate:20": [SelectFeatures("univariate", k=20)],
    "lasso": [SelectFeatures("lasso")],
    "correlation": [SelectFeatures("correlation")],
}
CLASSIFIERS = ("LR", "SVM", "RF", "EN", "GB", "KNN", "ensemble")


def read(name: str) -> tuple[LesionTable, np.ndarray]:
    """Return the radiomics and the outcome of a table."""
    path = Path(os.environ["NONREDUNDANT_DATA"]) / "tables" / f"{name}.csv.gz"
    frame = pd.read_csv(path).select_dtypes("number")
    y = frame.pop("Target").to_numpy()
    return LesionTable(frame.drop(columns="ID", errors="ignore")), y


def compared(table: LesionTable, y: np.ndarray, steps: list, classifiers: list[str]) -> object:
    """Return five-fold cross-validation of hand-crafted features."""
    return compare_feature_sets(
        table,
        y,
        feature_sets=["HCR"],
        steps=steps,
        classifiers=classifiers,
        baselines=False,
        audit=False,
        controls=False,
        n_repeats=1,
        random_state=0,
    )


def measure(name: str) -> tuple[dict, dict, dict]:
    """Return the AUC by step and by classifier, the stability and the seconds of each step."""
    table, y = read(name)
    head = {"table": name, "patients": len(y), "features": table.shape[1]}
    print(head, flush=True)
    every = compared(table, y, [], list(CLASSIFIERS)).summary.set_index("classifier")["mean"]
    by_step = {**head, "none": every["LR"]}
    stability = dict(head)
    for step, steps in STEPS.items():
        if steps:
            found = compared(table, y, steps, ["LR"])
            by_step[step] = found.summary["mean"].iloc[0]
            stability[step] = found.selection_stability["stability"].iloc[0]
    print(by_step, dict(every), flush=True)
    return by_step, {**head, **every[list(CLASSIFIERS)]}, stability


def seconds_of_a_fit(name: str) -> dict[str, float]:
    """Return the CPU seconds of one fit of each method on a table."""
    table, y = read(name)
    found = {}
    for method in ("mrmr", "univariate", "lasso", "correlation", "boruta"):
        start = time.process_time()
        SelectFeatures(method, random_state=0).fit(table, y)
        found[method] = time.process_time() - start
    return found


def markdown(rows: list[dict]) -> str:
    """Return rows as a table, with a last row of means."""
    frame = pd.DataFrame(rows)
    mean = frame.select_dtypes("number").mean()
    frame.loc[len(frame)] = {**mean, "table": "mean", "patients": np.nan, "features": np.nan}
    frame[["patients", "features"]] = frame[["patients", "features"]].astype("Int64")
    return frame.to_markdown(index=False, floatfmt=".3f")


def main() -> None:
    """Measure, and write the section."""
    warnings.simplefilter("ignore")
    names = tuple(sys.argv[1:]) or TABLES
    start = time.process_time()
    steps, classifiers, stability = map(list, zip(*map(measure, names), strict=True))
    fits = ", ".join(f"{k} {v:.2f}" for k, v in seconds_of_a_fit(names[0]).items())
    body = f"""Five-fold cross-validation, once, hand-crafted features alone. The interval of one \
AUC here is about ±0.10, and of a difference between two steps ±0.05: most differences are chance.

Mean AUC of logistic regression (ridge) after each step:

{markdown(steps)}

Mean AUC of each classifier without a step:

{markdown(classifiers)}

Stability of each selection over the five folds (Nogueira; 1: the same features):

{markdown(stability)}

CPU seconds of one fit on {names[0]}: {fits}. A comparison fits a step once per fold and, where it \
sees labels, once per inner split (5 to 20), so that "boruta" was not compared. All of this took \
{time.process_time() - start:.0f} s of CPU."""
    write_section("selection.py", "Selection of features, and classifiers", body)


if __name__ == "__main__":
    main()
