"""Do salient latents hold what targets have and a background lacks? Tables in SepVAE's manner."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
from reporting import write_section
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable
from nonredundant.contrastive import ContrastiveVAE, SepVAE
from nonredundant.datasets import fetch_pneumonia, make_contrastive, make_digits_on_textures

SIZES = (8, 4)
MODELS: dict[str, tuple[type, dict[str, Any]]] = {
    "ConVAE (Abid & Zou 2019)": (ContrastiveVAE, {}),
    "MM-cVAE (Weinberger 2022)": (ContrastiveVAE, {"moment_matching": 1.0}),
    "SepVAE, density ratio as published": (SepVAE, {"independence": "density-ratio", "fader": 0.0}),
    "SepVAE, default": (SepVAE, {}),
    "… HSIC": (SepVAE, {"independence": "hsic"}),
    "… cross-covariance": (SepVAE, {"independence": "cross-covariance"}),
    "… no independence term": (SepVAE, {"kappa": 0.0}),
    "… no label classifier": (SepVAE, {"gamma": 0.0}),
    "… no fader": (SepVAE, {"fader": 0.0}),
    "… background's prior as wide as the targets'": (SepVAE, {"background_scale": 1.0}),
}
METRICS = {
    "subtype_salient": "sub-type from salient ↑",
    "subtype_common": "sub-type from common ↓",
    "target_salient": "target from salient ↑",
    "target_common": "target from common ↓",
}


def digits(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images, labels and sub-types of digits on textures."""
    cases, y, truth = make_digits_on_textures(2000, random_state=seed)
    return np.stack(list(cases["image"]))[:, None], y, truth["subtype"].to_numpy()


def patterns(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images, labels and sub-types of the contrastive phantoms."""
    cases, y, truth = make_contrastive(2000, random_state=seed)
    return np.stack(list(cases["image"]))[:, None], y, truth["subtype"].to_numpy()


SETS: dict[str, Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]]] = {
    "contrastive phantoms": patterns,
    "digits on textures": digits,
}


def one_fit(data: str, name: str, seed: int, epochs: int) -> dict[str, Any]:
    """Fit on one half and return what linear classifiers find in the other half's latents."""
    warnings.simplefilter("ignore")
    patches, y, subtype = SETS[data](seed)
    half = len(y) // 2
    kind, options = MODELS[name]
    model = kind(*SIZES, max_epochs=epochs, random_state=seed, device="cpu", **options)
    start = time.perf_counter()
    model.fit(LesionTable.from_arrays(patches=patches[:half]), y[:half])
    seconds = time.perf_counter() - start
    z = model.transform(LesionTable.from_arrays(patches=patches[half:]))
    target = y[half:] == 1
    row = {"data": data, "model": name, "seed": seed, "seconds": seconds}
    for part, latents in zip(("common", "salient"), np.split(z, [SIZES[0]], axis=1), strict=True):
        row[f"target_{part}"] = accuracy(latents, target)
        row[f"subtype_{part}"] = accuracy(latents[target], subtype[half:][target])
    return row


def accuracy(latents: np.ndarray, labels: np.ndarray) -> float:
    """Return the balanced accuracy of a linear classifier in cross-validation."""
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return cross_val_score(linear, latents, labels, cv=5, scoring="balanced_accuracy").mean()


def pneumonia(epochs: int) -> list[str]:
    """Return the lines of the table of pneumonia against normal, on validation data."""
    train, held = fetch_pneumonia(split="train"), fetch_pneumonia(split="val")
    table, new = (
        LesionTable.from_arrays(patches=np.stack(list(one.data["image"]))[:, None])
        for one in (train, held)
    )
    lines = ["| model | from salient ↑ | from common ↓ |", "| --- | --- | --- |"]
    for name in ("MM-cVAE (Weinberger 2022)", "SepVAE, default"):
        kind, options = MODELS[name]
        model = kind(*SIZES, max_epochs=epochs, random_state=0, device="cpu", **options)
        model.fit(table, np.asarray(train.target))
        z = model.transform(new)
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        aucs = []
        for latents in (z[:, SIZES[0] :], z[:, : SIZES[0]]):
            score = cross_val_predict(linear, latents, held.target, method="decision_function")
            aucs.append(f"{roc_auc_score(held.target, score):.3f}")
        lines.append(f"| {name} | {' | '.join(aucs)} |")
    return lines


def table_of(found: pd.DataFrame) -> list[str]:
    """Return mean and standard deviation over seeds, in Markdown."""
    lines = [f"| model | {' | '.join(METRICS.values())} |", "| --- " * (1 + len(METRICS)) + "|"]
    for name, rows in found.groupby("model", sort=False):
        cells = [f"{rows[m].mean():.3f} ± {rows[m].std():.3f}" for m in METRICS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Fit every model under every seed on every set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--print", action="store_true", help="print, write nothing")
    options = parser.parse_args()
    tasks = [
        (data, name, seed, options.epochs)
        for data in options.sets
        for name in options.models
        for seed in range(options.seeds)
    ]
    rows = joblib.Parallel(options.jobs)(joblib.delayed(one_fit)(*task) for task in tasks)
    found = pd.DataFrame(rows)
    lines = [
        f"{SIZES[0]} common and {SIZES[1]} salient latents, {options.epochs} epochs, "
        f"{options.seeds} seeds, mean ± SD. Balanced accuracy of logistic regression in "
        "5-fold cross-validation on images that the model was not fitted on; 0.5 is chance "
        "(sub-types of digits: see the data set).",
    ]
    for data, part in found.groupby("data", sort=False):
        seconds = part["seconds"].mean()
        lines += ["", f"### {str(data).capitalize()}", "", *table_of(part)]
        lines += ["", f"{seconds:.0f} s a fit."]
    if options.print:
        print("\n".join(lines))
        return
    lines += ["", "### PneumoniaMNIST: AUC of pneumonia against normal on validation images", ""]
    lines += pneumonia(options.epochs)
    write_section("contrastive.py", "Contrastive models", "\n".join(lines))


if __name__ == "__main__":
    main()
