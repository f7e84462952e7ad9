"""Selection of features and classifiers by name, on radiomics of ten public cohorts.

The tables are those of radMLBench (Demircioğlu 2025) in the folder `tables` below
`$NONREDUNDANT_DATA`: a column `Target` and radiomics. `sts` and `AdrenalMNIST3D` are measured from
images. Names as arguments choose others.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from reporting import write_section

from nonredundant import LesionTable, RadiomicsExtractor, SelectFeatures, compare_feature_sets
from nonredundant.datasets import fetch_adrenal, fetch_sts

#: The tables of less than a thousand columns, and two cohorts of images.
TABLES = (
    "HNSCC",
    "Head-Neck-PET-CT",
    "Head-Neck-Radiomics-HN1",
    "LNDb",
    "Li2020",
    "NSCLC-Radiogenomics",
    "Ramella2018",
    "Song2020",
    "sts",
    "AdrenalMNIST3D",
)
#: Lesions of AdrenalMNIST3D.
N_GLANDS = 300
STEPS = {
    "none": [],
    "mrmr:20": [SelectFeatures("mrmr", k=20)],
    "univariate:20": [SelectFeatures("univariate", k=20)],
    "lasso": [SelectFeatures("lasso")],
    "correlation": [SelectFeatures("correlation")],
}
CLASSIFIERS = ("LR", "SVM", "RF", "EN", "GB", "KNN", "ensemble")


def read(name: str) -> tuple[LesionTable, np.ndarray]:
    """Return the radiomics and the outcome of a cohort."""
    if name == "sts":
        cases, labels = fetch_sts(return_X_y=True)
        return RadiomicsExtractor("PET", patch_shape=None).fit_transform(cases), labels.to_numpy()
    if name == "AdrenalMNIST3D":
        glands = fetch_adrenal(split="train")
        extractor = RadiomicsExtractor(feature_classes=["shape"], patch_shape=None)
        measured = extractor.fit_transform(glands.data.iloc[:N_GLANDS])
        return measured, np.asarray(glands.target)[:N_GLANDS]
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
    every = compared(table, y, [], list(CLASSIFIERS)).summary.set_index("classifier")["mean"]
    by_step = {**head, "none": every["LR"]}
    stability = dict(head)
    for step, steps in STEPS.items():
        if steps:
            found = compared(table, y, steps, ["LR"])
            by_step[step] = found.summary["mean"].iloc[0]
            # Nothing is chosen among fewer columns than are asked for.
            chosen = found.selection_stability["stability"]
            stability[step] = chosen.iloc[0] if len(chosen) else np.nan
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
    start = time.perf_counter()
    found = Parallel(2)(delayed(measure)(name) for name in names)
    steps, classifiers, stability = map(list, zip(*found, strict=True))
    fits = ", ".join(f"{k} {v:.2f}" for k, v in seconds_of_a_fit(names[0]).items())
    body = f"""Five-fold cross-validation, once, hand-crafted features alone. The interval of one \
AUC here is about ±0.10, and of a difference between two steps ±0.05: most differences are chance.

Mean AUC of logistic regression (ridge) after each step:

{markdown(steps)}

Mean AUC of each classifier without a step:

{markdown(classifiers)}

Stability of each selection over the five folds (Nogueira; 1: the same features; nan: all 14 columns
are kept where 20 are asked for):

{markdown(stability)}

CPU seconds of one fit on {names[0]}: {fits}. A comparison fits a step once per fold and, where it \
sees labels, once per inner split (5 or 10), so that "boruta" was not compared. All of this took \
{(time.perf_counter() - start) / 60:.0f} minutes on two cores."""
    write_section("selection.py", "Selection of features, and classifiers", body)


if __name__ == "__main__":
    main()
