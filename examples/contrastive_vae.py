"""Salient spaces of the published contrastive VAEs, on digits that lie on textures.

Background images show a texture, targets a digit, 0 or 1, on such a texture; the models are told
who is a target and not which digit. Draws the images, and of each model the plane in which its
salient latents spread most, with the accuracy at which they tell target from background and 0
from 1 among targets (cross-validated, on images not trained on; 50 % is chance).
Run `python examples/contrastive_vae.py` (under a minute).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from nonredundant import LesionTable
from nonredundant.contrastive import ContrastiveVAE
from nonredundant.datasets import make_digits_on_textures

N_TRAIN = 1500
KINDS = {
    -1: ("background", "0.6", "."),
    0: ("digit 0", "#0072B2", "o"),
    1: ("digit 1", "#D55E00", "^"),
}


def main() -> None:
    """Fit both, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("contrastive_vae.png"))
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    cases, y, truth = make_digits_on_textures(2 * N_TRAIN, blend=0.8, random_state=0)
    kinds = truth["subtype"].to_numpy()[N_TRAIN:]
    table = LesionTable.from_arrays(patches=np.stack(list(cases["image"]))[:, None])
    new = table[N_TRAIN:]
    settings = {
        "max_epochs": options.epochs,
        "batch_size": 128,
        "output": "salient",
        "random_state": 0,
    }
    models = {
        "ConVAE (Abid & Zou 2019)": ContrastiveVAE(**settings),
        "MM-cVAE (Weinberger et al. 2022)": ContrastiveVAE(moment_matching=0.1, **settings),
    }
    figure = plt.figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 2.6))
    grid = left.subplots(4, 3)
    for column, (kind, (name, _, _)) in zip(grid.T, KINDS.items(), strict=True):
        column[0].set_title(name, fontsize=9)
        for ax, image in zip(column, new.patches[kinds == kind][:4, 0], strict=True):
            ax.imshow(image, cmap="gray", vmin=0, vmax=1)
            ax.set_axis_off()
    for ax, (title, model) in zip(right.subplots(1, 2), models.items(), strict=True):
        s = model.fit(table[:N_TRAIN], y[:N_TRAIN]).transform(new)
        s = (s - s.mean(0)) / s.std(0)
        target = kinds >= 0
        linear = LogisticRegression(max_iter=2000)
        told = cross_val_score(linear, s, target).mean()
        digit = cross_val_score(linear, s[target], kinds[target]).mean()
        plane = PCA(2).fit_transform(s)
        for kind, (name, colour, marker) in KINDS.items():
            ax.scatter(*plane[kinds == kind].T, s=9, c=colour, marker=marker, alpha=0.6, label=name)
        ax.set_title(f"{title}\ntarget {told:.0%}, digit {digit:.0%}", fontsize=10)
        ax.set(xlabel="PC 1 of salient latents", ylabel="PC 2")
        print(f"{title}: salient latents tell targets {told:.0%}, digits {digit:.0%}")
    ax.legend(fontsize=8)
    figure.savefig(options.output, dpi=120)
    print(f"Picture: {options.output}")


if __name__ == "__main__":
    main()
