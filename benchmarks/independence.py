"""Measure how independent of h the latents are on lesions that were not trained on, and the cost.

`python benchmarks/independence.py --only adrenal` writes the section of one cohort into
docs/benchmarks.md; without `--only` all are run. Real cohorts are read as by `fetch_adrenal`.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from reporting import write_section
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable, NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import fetch_adrenal, fetch_pneumonia, fetch_sts, make_lesions
from nonredundant.metrics import audit_with_null, pool_redundancy, redundancy_report

AUDIT = ("r2-ridge", "r2-mlp", "r2-forest", "discriminator-auc", "dcor", "hsic")
#: Methods that can be used on the ten rows of a fold.
SMALL_AUDIT = ("r2-ridge", "dcor", "hsic")
CUBE = (16, 16, 16)
#: Training rows, labels, audited rows, labels.
Split = tuple[LesionTable, np.ndarray, LesionTable, np.ndarray]


def glands() -> Callable[[int], Split]:
    """Read AdrenalMNIST3D; each seed draws 600 official training rows, and 500 others to audit."""
    bunch = fetch_adrenal(split="train")
    extractor = RadiomicsExtractor(feature_classes=("shape",), patch_shape=CUBE, patch_spacing=4.0)
    table, y = extractor.fit_transform(bunch.data), bunch.target.to_numpy()

    def split(seed: int) -> Split:
        order = np.random.default_rng(100 + seed).permutation(len(table))
        return parts(table, y, order[:600], order[600:1100])

    return split


def radiographs() -> Callable[[int], Split]:
    """Read PneumoniaMNIST; each seed draws 1,200 official training images, validation to audit."""
    train, held = fetch_pneumonia(split="train"), fetch_pneumonia(split="val")
    extractor = RadiomicsExtractor(patch_shape=(28, 28), whole_image=True, n_jobs=2)
    table, audited_table = (extractor.fit_transform(bunch.data) for bunch in (train, held))
    y = train.target.to_numpy()

    def split(seed: int) -> Split:
        rows = np.random.default_rng(seed).permutation(len(table))[:1200]
        return table[rows], y[rows], audited_table, held.target.to_numpy()

    return split


def phantoms() -> Callable[[int], Split]:
    """Draw 400 phantoms for training and 600 to audit with each seed."""

    def split(seed: int) -> Split:
        cases, y, _ = make_lesions(1000, random_state=seed)
        table = RadiomicsExtractor("PET", patch_shape=CUBE, n_jobs=2).fit_transform(cases)
        return parts(table, np.asarray(y), np.arange(400), np.arange(400, 1000))

    return split


def parts(table: LesionTable, y: np.ndarray, train: np.ndarray, audited: np.ndarray) -> Split:
    """Return the training and the audited rows of a table."""
    return table[train], y[train], table[audited], y[audited]


COHORTS: dict[str, tuple[str, Callable[[], Callable[[int], Split]], tuple[int, ...]]] = {
    "adrenal": ("AdrenalMNIST3D, 14 shape features", glands, (16, 8, 64)),
    "pneumonia": ("PneumoniaMNIST, training and validation images", radiographs, (16,)),
    "phantoms": ("Phantoms, 107 features", phantoms, (16,)),
}


def unexplained(model: NonRedundantCVAE, table: LesionTable) -> float:
    """Return the unexplained fraction of voxel variance inside the masks."""
    import torch

    module = model.net_.module_
    masks = None if table.masks is None else torch.from_numpy(np.asarray(table.masks))
    with torch.no_grad():
        x = module.scaler(torch.from_numpy(np.asarray(table.patches)), masks)
        px = module.scaler(torch.from_numpy(model.reconstruct(table)), masks)
    return float((x - px).square().sum() / (module.total_variance * len(table)))


def latents(model: NonRedundantCVAE, table: LesionTable, *, residual: bool) -> np.ndarray:
    """Return the latents of a model fitted with `residualise`, before or after that step."""
    r = np.asarray(model.transform(table))
    if residual:
        return r
    cohort = model._read(table, reset=False)
    return model.residualiser_.inverse(model._condition_frame(cohort), r)


def fused_auc(columns: list[np.ndarray], labels: list[np.ndarray]) -> float:
    """Return the AUC on the audited rows of a plain logistic regression on the training rows."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    classifier.fit(columns[0], labels[0])
    return roc_auc_score(labels[1], classifier.decision_function(columns[1]))


def run(data: Split, size: int, seed: int, *, brief: bool) -> list[dict[str, Any]]:
    """Train with and without the term; audit the default, and unless `brief` what it improves."""
    train, y, test, labels = data
    h = [part.features.to_numpy() for part in (train, test)]
    rows: list[dict[str, Any]] = []
    if not brief:
        rows.append({"model": "HCR alone", "fused AUC": fused_auc(h, [y, labels])})
    reference = np.nan
    for name, kappa in ((f"D{size}, κ = 0", 0.0), (f"D{size}, default", 0.2)):
        model = NonRedundantCVAE(
            size, kappa=kappa, output="dlr", random_state=seed, device="cpu"
        ).fit(train)
        fvu = unexplained(model, test)
        reference = reference if kappa else fvu
        for residual in (False, True):
            d = [latents(model, part, residual=residual) for part in (train, test)]
            both = [np.hstack(pair) for pair in zip(h, d, strict=True)]
            row = {
                "model": name + ("" if residual else ", not residualised"),
                "FVU": fvu,
                "FVU / κ = 0": fvu / reference,
                "fused AUC": fused_auc(both, [y, labels]),
            }
            if (kappa > 0 and residual) or not (brief or residual):
                rows.append(row | audited(h[1], d[1], seed))
                print(seed, rows[-1], flush=True)
    return rows


def audited(h: np.ndarray, d: np.ndarray, seed: int) -> dict[str, float]:
    """Return estimate, 95 % point of the null and p of each method."""
    report = redundancy_report(h, d, methods=AUDIT, n_permutations=100, random_state=seed)
    row = {}
    for method, found in report.iterrows():
        row[str(method)] = found["estimate"]
        row[f"{method} null"], row[f"{method} p"] = found["null_95"], found["p_value"]
    return row


def cohort(name: str, n_seeds: int) -> None:
    """Run one cohort and write its section."""
    title, read, sizes = COHORTS[name]
    split = read()
    rows: list[dict[str, Any]] = []
    data = None
    for seed in range(n_seeds):
        data = split(seed)
        for size in sizes:
            rows += run(data, size, seed, brief=size != 16)
    assert data is not None
    body = (
        f"{len(data[0])} lesions for training, {len(data[2])} others audited; means of {n_seeds} "
        "seeds. In each cell: the estimate, in brackets the 95 % point of its permutation null, "
        "and the median p. FVU: unexplained fraction of voxel variance; fused AUC: plain logistic "
        "regression on (h, d), trained on the training lesions.\n\n" + table_of(pd.DataFrame(rows))
    )
    write_section(f"independence.py --only {name}", f"Independence: {title}", body)


def table_of(rows: pd.DataFrame) -> str:
    """Return the means of all seeds as a Markdown table."""
    names = ["model", "FVU", "FVU / κ = 0", "fused AUC", *AUDIT]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for model, group in rows.groupby("model", sort=False):
        means = group.drop(columns="model").mean()
        cells = [number(means[name]) for name in names[1:4]]
        for method in AUDIT:
            p = group[f"{method} p"].median()
            null = f" ({means[f'{method} null']:.3f}; p {p:.2f})"
            cells.append("–" if np.isnan(p) else number(means[method]) + null)
        lines.append("| " + " | ".join([str(model), *cells]) + " |")
    return "\n".join(lines)


def number(value: float) -> str:
    """Format a number, a dash if there is none."""
    return "–" if np.isnan(value) else f"{value:.3f}"


def sarcomas(n_repeats: int) -> None:
    """Audit the held-out folds of the 51 sarcomas, pooled over the folds of each repeat."""
    bunch = fetch_sts()
    table = RadiomicsExtractor("PET", patch_shape=CUBE, n_jobs=2).fit_transform(bunch.data)
    y = bunch.target.to_numpy()
    h = table.features.to_numpy()
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=n_repeats, random_state=0)
    audits: dict[str, list] = {"κ = 0, not residualised": [], "default": []}
    for number_, (train, test) in enumerate(folds.split(h, y)):
        for name, options in zip(audits, ({"kappa": 0.0, "residualise": False}, {}), strict=True):
            model = NonRedundantCVAE(output="dlr", random_state=number_, device="cpu", **options)
            d = np.asarray(model.fit(table[train]).transform(table[test]))
            audits[name].append(
                audit_with_null(
                    h[test], d, methods=SMALL_AUDIT, n_permutations=200, random_state=number_
                )
            )
    lines = ["| model | method | estimate | 95 % of the null | p of each repeat | detectable |"]
    lines.append("|" + " --- |" * 6)
    for name, found in audits.items():
        repeats = [pool_redundancy(found[i : i + 5]) for i in range(0, len(found), 5)]
        for method in SMALL_AUDIT:
            mean = pd.concat([one.loc[[method]] for one in repeats])
            p = ", ".join(f"{value:.2f}" for value in sorted(mean["p_value"]))
            values = [number(mean[c].mean()) for c in ("estimate", "null_95")]
            lines.append(
                "| "
                + " | ".join([name, method, *values, p, number(mean["detectable"].mean())])
                + " |"
            )
    body = (
        f"51 patients, 5 folds, {n_repeats} repeats. Each estimate is the mean over the folds of a "
        "repeat, each audited on its own held-out patients (10 or 11), compared with the same mean "
        "on permuted rows; the p-values are those of these pooled statistics, one per repeat. "
        "'Detectable' is the pooled value that would be found with 80 % power: with so few rows "
        "only a dependence of that size can be seen.\n\n" + "\n".join(lines)
    )
    write_section("independence.py --only sts", "Independence: soft-tissue sarcomas", body)


def main() -> None:
    """Run the cohorts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=[*COHORTS, "sts"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in [options.only] if options.only else [*COHORTS, "sts"]:
        if name == "sts":
            sarcomas(5)
        else:
            cohort(name, options.seeds)


if __name__ == "__main__":
    main()
