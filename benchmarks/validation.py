"""Models of one centre on patients of two others, and on patients of their own.

Lung cancer, alive after two years (Hosny et al. 2018): the hand-crafted features of the
original image, and the output of a network of theirs as the given embedding. The tables are read
from the folder `nsclc` below `$NONREDUNDANT_DATA`.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from reporting import write_section
from sklearn.model_selection import train_test_split

from nonredundant import LesionTable
from nonredundant.datasets import fetch_hosny
from nonredundant.evaluation import FeatureSetClassifier, ModelValidation, validate_model

COHORTS = ("HarvardRT", "Maastro", "M-SPORE")
#: Halves of a cohort that are drawn at random.
HALVES = 10


def cohort(name: str) -> tuple[LesionTable, np.ndarray]:
    """Return the features and labels of a centre; some of its patients have no id."""
    found = fetch_hosny(name)
    ids = [f"{name} {i}" for i in range(len(found.target))]
    hcr = found.data.filter(like="original_").set_axis(ids, axis=0)
    return LesionTable(hcr, embeddings={"CNN": found.cnn.set_axis(ids, axis=0)}), (
        found.target.to_numpy()
    )


def fitted(table: LesionTable, y: np.ndarray, seed: int = 0) -> FeatureSetClassifier:
    """Return a model, with its reference and five folds."""
    model = FeatureSetClassifier("HCR+CNN", reference=True, cv=5, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(table, y)


def interval(row: Any, sign: str = "") -> str:
    """Write an estimate with its interval."""
    if np.isnan(row["low"]):
        return "not estimable"
    return f"{row['estimate']:{sign}.2f} ({row['low']:{sign}.2f} to {row['high']:{sign}.2f})"


def elsewhere(found: ModelValidation) -> list[str]:
    """Return the cells of a model on another centre."""
    scores = found.scores[found.scores["model"] == "HCR+CNN"].set_index("measure")
    coverage = found.coverage.set_index("cases").loc["all"]
    return [
        interval(found.training.iloc[0]),
        interval(scores.loc["AUC"]),
        interval(found.gain.iloc[0], "+"),
        interval(scores.loc["calibration in the large"], "+"),
        interval(scores.loc["calibration slope"]),
        interval(coverage),
        f"{coverage['mean_size']:.2f}",
        f"{found.settings['n_outside']} of {found.settings['n']}",
    ]


def at_home(table: LesionTable, y: np.ndarray) -> list[str]:
    """Return coverage, set size, AUC and intercept on the other half of a cohort, over halves."""
    rows = []
    for seed in range(HALVES):
        train, test = train_test_split(
            np.arange(len(y)), stratify=y, test_size=0.5, random_state=seed
        )
        found = validate_model(fitted(table[train], y[train], seed), table[test], y[test])
        covered = found.coverage["estimate"]
        intercept = found.scores.set_index("measure").loc["calibration in the large", "estimate"]
        size, auc = found.coverage["mean_size"][0], found.scores["estimate"][0]
        rows.append([*covered, size, auc, intercept.iloc[0]])
    values = np.array(rows)
    return [
        f"{mean:.2f} ({low:.2f} to {high:.2f})"
        for mean, low, high in zip(values.mean(0), values.min(0), values.max(0), strict=True)
    ]


def markdown_table(heads: list[str], rows: list[list[str]]) -> str:
    """Return rows as a table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Fit on each centre, validate on the others and at home, and write the section."""
    start = time.process_time()
    cohorts = {name: cohort(name) for name in COHORTS}
    others, homes = [], []
    for name, (table, y) in cohorts.items():
        model = fitted(table, y)
        for other, given in cohorts.items():
            if other != name:
                others.append([name, other, *elsewhere(validate_model(model, *given))])
        homes.append([name, str(len(y)), *at_home(table, y)])
    heads = ["fitted on", "applied to", "AUC in folds", "AUC", "gain over HCR", "intercept"]
    heads += ["slope", "coverage (.90)", "classes per set", "outside"]
    home = [
        "centre",
        "n",
        "coverage (.90)",
        "of the dead",
        "of the living",
        "classes per set",
        "outside",
    ]
    home += ["AUC", "intercept"]
    body = f"""
Lung cancer, alive after two years: {", ".join(f"{k} {len(y)}" for k, (_, y) in cohorts.items())}
patients; {cohorts["Maastro"][0].hcr.shape[1]} hand-crafted features of the original image and the
output of the network of Hosny et al. as an embedding, HCR+CNN by logistic regression, five folds.
Estimates with 95 % intervals; nothing is fitted on the second centre. The output is that of
networks which the authors trained on other patients than those of Maastro and M-SPORE. Its scale
differs: 0.02 to 0.16 in HarvardRT, 0.02 to 1.00 in Maastro and 0.71 to 0.75 in M-SPORE, so models
of the first and the last extrapolate elsewhere. Outside: cases that the model is told to be unlike
its training cohort.

{markdown_table(heads, others)}

The same models on patients of their own centre: half of a cohort fits, the other half tests; mean
(range) over {HALVES} random halves.

{markdown_table(home, homes)}

{time.process_time() - start:.0f} seconds of one core.
"""
    write_section("validation.py", "A frozen model on other centres", body)


if __name__ == "__main__":
    main()
