"""Draw the pictures of the user guide from phantoms and simulated numbers; no network is trained.

Run `python docs/guide_pictures.py` (a minute), or with the names of some pages, after a change of
extraction or of phantoms.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import SimpleITK as sitk
from PIL import Image

from nonredundant import LesionTable, RadiomicsExtractor, SelectFeatures, compare_feature_sets
from nonredundant.datasets import make_lesions, make_survival_times
from nonredundant.displays import SelectionFrequencyDisplay
from nonredundant.displays.style import COLOURS
from nonredundant.stability import draw_perturbations, repeat_stability

IMAGES = Path(__file__).resolve().parent / "images"
#: Inches and dots per inch: 840 pixels, the width of a page.
WIDTH, HEIGHT, DPI = 7.0, 2.6, 120


def show(ax: Any, image: np.ndarray, mask: np.ndarray, title: str) -> None:
    """Draw the slice in which the mask is largest, with its outline."""
    place = int(mask.sum(axis=(1, 2)).argmax())
    ax.imshow(image[place], cmap="gray_r")
    ax.contour(mask[place], levels=[0.5], colors=COLOURS[1], linewidths=1.5)
    ax.set(title=title, xticks=[], yticks=[])


def draw_nifti() -> Any:
    """Draw an image with its mask, and the patch that networks see."""
    cases, _y, _truth = make_lesions(1, random_state=3)
    table = RadiomicsExtractor("PET", feature_classes=["shape"]).fit_transform(cases)
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, HEIGHT))
    case = cases.iloc[0]
    show(axes[0], case["image"], case["mask"], "image and mask")
    show(axes[1], table.patches[0, 0], table.masks[0, 0], "patch, 32³ voxels")
    shown = [name for name in table.features if name.endswith(("Volume", "Sphericity", "Flatness"))]
    lines = [f"{name.rpartition('_')[2]}\n{table.features[name].iloc[0]:,.2f}" for name in shown]
    axes[2].text(0, 0.5, "\n\n".join(lines), va="center")
    axes[2].set(title="features")
    axes[2].axis("off")
    return figure


def draw_dicom() -> Any:
    """Draw a contour that is stored as corners, and the voxels whose centres it holds."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x, y = 10 + 6 * np.cos(angles), 8 + 4.5 * np.sin(angles)
    columns, rows = np.meshgrid(np.arange(20), np.arange(16))
    inside = ((columns - 10) / 6) ** 2 + ((rows - 8) / 4.5) ** 2 < 1
    figure, ax = plt.subplots(figsize=(WIDTH / 2, HEIGHT))
    ax.pcolormesh(columns, rows, inside, cmap="Greys", vmax=2.5, edgecolors="0.85", linewidth=0.3)
    ax.plot(np.append(x, x[0]), np.append(y, y[0]), "-o", color=COLOURS[1], markersize=4)
    ax.plot(columns[inside], rows[inside], ".", color=COLOURS[2], markersize=3)
    ax.set(aspect="equal", xticks=[], yticks=[], title="corners, and the voxels inside")
    return figure


def draw_pet() -> Any:
    """Draw the grey levels of a lesion by bins of 0.25 and of 25."""
    cases, _y, _truth = make_lesions(1, random_state=3)
    case = cases.iloc[0]
    values = case["image"][case["mask"].astype(bool)]
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, HEIGHT), sharex=True)
    for ax, width in zip(axes, (0.25, 25), strict=True):
        edges = np.arange(0, max(width, values.max()) + 2 * width, width)
        counts, _, _ = ax.hist(values, bins=edges, color=COLOURS[2])
        n_levels = int((counts > 0).sum())
        levels = f"{n_levels} grey level{'s' if n_levels > 1 else ''}"
        ax.set(title=f"bin width {width}: {levels}", xlabel="SUV", xlim=(0, values.max() * 1.1))
    axes[0].set_ylabel("voxels")
    return figure


def draw_petct() -> Any:
    """Draw both channels of a patch."""
    cases, _y, _truth = make_lesions(1, images=2, random_state=1)
    images = {"pet": {"bin_count": 32}, "ct": {"bin_count": 32}}
    extractor = RadiomicsExtractor(images=images, feature_classes=["firstorder"])
    table = extractor.fit_transform(cases)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH * 0.7, HEIGHT))
    for ax, channel, name in zip(axes, table.patches[0], images, strict=True):
        show(ax, channel, table.masks[0, 0], f"channel {name}")
    return figure


def draw_lesions() -> Any:
    """Draw the components of one mask, a lesion each, as seen from the front."""
    cases, _y, _truth = make_lesions(1, n_lesions=6, spacing=3.0, random_state=1)
    case = cases.iloc[0]
    mask = sitk.GetImageFromArray(case["mask"].astype(np.uint8))
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(mask))
    seen = np.ma.masked_equal(labels.max(axis=1), 0)
    figure, ax = plt.subplots(figsize=(WIDTH / 2, HEIGHT))
    ax.imshow(case["image"].max(axis=1), cmap="gray_r", origin="lower")
    ax.imshow(seen, cmap=mpl.colors.ListedColormap(COLOURS[1:]), alpha=0.6, origin="lower")
    ax.set(xticks=[], yticks=[], title=f"{labels.max()} components, {labels.max()} rows")
    return figure


def draw_centres() -> Any:
    """Draw a texture feature of phantoms of the same kind from two scanners."""
    figure, ax = plt.subplots(figsize=(WIDTH * 0.7, HEIGHT))
    extractor = RadiomicsExtractor("PET", feature_classes=["glcm"], patch_shape=None)
    name = "original_glcm_Contrast"
    for noise, colour, centre in ((0.3, COLOURS[2], "A"), (0.6, COLOURS[1], "B")):
        cases, _y, _truth = make_lesions(30, spacing=3.0, image_noise=noise, random_state=0)
        values = extractor.fit_transform(cases).features[name]
        ax.hist(
            values, bins=12, histtype="step", color=colour, linewidth=2, label=f"centre {centre}"
        )
    ax.set(xlabel="contrast of the co-occurrence matrix", ylabel="patients")
    ax.legend(frameon=False)
    return figure


def draw_imbalance() -> Any:
    """Draw the probabilities of a model with and without class weights, on the same patients."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 4))
    y = rng.uniform(size=2000) < 1 / (1 + np.exp(3 - 1.2 * x[:, 0]))
    plain, balanced = (
        LogisticRegression(class_weight=weight)
        .fit(x[:1000], y[:1000])
        .predict_proba(x[1000:])[:, 1]
        for weight in (None, "balanced")
    )
    figure, ax = plt.subplots(figsize=(WIDTH / 2, HEIGHT * 1.1))
    for outcome, colour, marker in ((False, COLOURS[2], "."), (True, COLOURS[1], "^")):
        own = y[1000:] == outcome
        label = "event" if outcome else "no event"
        ax.plot(plain[own], balanced[own], marker, color=colour, label=label, markersize=4)
    ax.set(
        xlabel="probability, no weights", ylabel="probability, balanced", xlim=(0, 1), ylim=(0, 1)
    )
    ax.legend(frameon=False)
    return figure


def draw_survival() -> Any:
    """Draw follow-up times of phantoms and the share without an event."""
    _cases, _labels, truth = make_lesions(40, random_state=0)
    y = np.sort(make_survival_times(truth, random_state=0), order="time")
    at_risk = np.arange(len(y), 0, -1)
    share = np.cumprod(1 - y["event"] / at_risk)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, HEIGHT), sharex=True)
    axes[0].hlines(np.arange(len(y)), 0, y["time"], color="0.7", linewidth=1)
    for event, marker, label in ((True, "o", "event"), (False, "|", "censored")):
        own = y["event"] == event
        colour = COLOURS[1 if event else 0]
        axes[0].plot(y["time"][own], np.flatnonzero(own), marker, color=colour, label=label)
    axes[0].set(xlabel="months", ylabel="patients", yticks=[], xlim=(0, 60))
    axes[0].legend(frameon=False, loc="lower right")
    axes[1].step(np.append(0, y["time"]), np.append(1, share), where="post", color=COLOURS[2])
    axes[1].set(xlabel="months", ylabel="share without event", ylim=(0, 1))
    return figure


def draw_large_cohorts() -> Any:
    """Draw the memory of patches with masks by the number of lesions."""
    n = np.logspace(2, 6, 50)
    figure, ax = plt.subplots(figsize=(WIDTH * 0.7, HEIGHT))
    for side, colour in zip((16, 32, 64), COLOURS[1:], strict=False):
        # Single precision and one byte of the mask per voxel.
        ax.plot(n, n * side**3 * 5 / 2**30, color=colour, label=f"patches of {side}³")
    ax.axhline(16, color="0.5", linestyle=":")
    ax.annotate("16 GiB", (120, 20), color="0.3")
    ax.set(xscale="log", yscale="log", xlabel="lesions", ylabel="GiB of memory")
    ax.legend(frameon=False)
    return figure


def draw_numbers() -> Any:
    """Draw predicted beside true numbers, from features alone and with an embedding."""
    rng = np.random.default_rng(0)
    radiomics, deep = rng.normal(size=(80, 3)), rng.normal(size=(80, 5))
    y = radiomics[:, 0] + deep[:, 0] + 0.5 * rng.normal(size=80)
    table = LesionTable(
        pd.DataFrame(radiomics).add_prefix("feature"), embeddings={"FMCIB": pd.DataFrame(deep)}
    )
    settings = {"scoring": "r2", "classifiers": "Ridge", "n_repeats": 1, "random_state": 0}
    found = compare_feature_sets(table, y, baselines=False, controls=False, **settings)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH * 0.8, HEIGHT * 1.1), sharex=True, sharey=True)
    for ax, name, colour in zip(axes, ("HCR", "HCR+FMCIB-MI"), COLOURS[2:0:-1], strict=True):
        own = found.predictions.query("feature_set == @name")
        r2 = found.summary.query("feature_set == @name")["mean"].item()
        ax.axline((0, 0), slope=1, color="0.5", linestyle="--", linewidth=1)
        ax.plot(own["score"], own["y"], ".", color=colour)
        ax.set(title=f"{name}: R² {r2:.2f}", xlabel="predicted number")
    axes[0].set_ylabel("true number")
    return figure


def draw_selection() -> Any:
    """Draw how often folds choose features: two copies each of factors, three of which matter."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(150, 6))
    y = factors[:, :3] @ [2.0, 1.6, 1.2] + rng.logistic(size=150) > 0
    copies = np.repeat(factors, 2, axis=1) + 0.6 * rng.normal(size=(150, 12))
    names = [f"factor {i}, {copy}" for i in range(1, 7) for copy in ("first", "second")]
    found = compare_feature_sets(
        LesionTable(pd.DataFrame(copies, columns=names)),
        y,
        feature_sets=["HCR"],
        classifiers="LR",
        steps=[SelectFeatures("mrmr", k=4)],
        baselines=False,
        n_repeats=2,
        random_state=0,
    )
    figure, ax = plt.subplots(figsize=(WIDTH * 0.8, HEIGHT * 1.1))
    SelectionFrequencyDisplay.from_comparison(found, k=10, ax=ax)
    return figure


def draw_stability() -> Any:
    """Draw a lesion as it is and under two changes, and how well the features come back."""
    cases, _y, _truth = make_lesions(30, random_state=3)
    extractor = RadiomicsExtractor(
        "PET", feature_classes=["shape", "firstorder", "glcm"], patch_shape=(24, 24, 24)
    )
    repeats = extractor.perturb(cases, draw_perturbations(4, "PET", random_state=0))
    figure = plt.figure(figsize=(WIDTH, HEIGHT * 1.2))
    left, right = figure.subfigures(1, 2, width_ratios=(2, 3))
    ax = left.subplots()
    place = int(repeats[0].masks[0, 0].sum(axis=(1, 2)).argmax())
    ax.imshow(repeats[0].patches[0, 0, place], cmap="gray_r")
    for table, colour in zip(repeats, COLOURS[1:], strict=False):
        ax.contour(table.masks[0, 0, place], levels=[0.5], colors=colour, linewidths=1.2)
    ax.set(title="four contours of a lesion", xticks=[], yticks=[])
    repeat_stability(repeats).plot(ax=right.subplots())
    return figure


#: Picture of each page.
DRAWN = {
    "nifti": draw_nifti,
    "dicom": draw_dicom,
    "pet": draw_pet,
    "petct": draw_petct,
    "lesions": draw_lesions,
    "centres": draw_centres,
    "imbalance": draw_imbalance,
    "survival": draw_survival,
    "large_cohorts": draw_large_cohorts,
    "numbers": draw_numbers,
    "selection": draw_selection,
    "stability": draw_stability,
}


def main(names: Sequence[str]) -> None:
    """Save pictures, with few colours and so small."""
    mpl.use("Agg")
    mpl.rcParams.update({"font.size": 9, "figure.constrained_layout.use": True})
    for name in names:
        figure, stream = DRAWN[name](), BytesIO()
        figure.savefig(stream, dpi=DPI, bbox_inches="tight")
        plt.close(figure)
        image = Image.open(stream).convert("RGB").quantize(64)
        image.save(IMAGES / f"guide_{name}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(DRAWN))
