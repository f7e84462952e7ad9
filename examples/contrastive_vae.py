"""
Which contrastive model finds the digit?
========================================

Compare the salient spaces of three contrastive VAEs, on digits on textures.

Targets show a digit, 0 or 1, on a texture, background images the texture alone. The models are
trained with the label "target" but not with the digit. Draws images and, for each model, the plane
that separates the three kinds best by its salient latents, with the accuracy (cross-validated, on
new images) of classifying targets and digits. Run `python examples/contrastive_vae.py` (under a
minute).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import LesionTable
from nonredundant.contrastive import ContrastiveVAE, SepVAE
from nonredundant.datasets import make_digits_on_textures

N_TRAIN = 2400
KINDS = {
    -1: ("background", "0.6", "."),
    0: ("digit 0", "#0072B2", "o"),
    1: ("digit 1", "#D55E00", "^"),
}
MODELS = {
    "ConVAE (Abid & Zou 2019)": ContrastiveVAE(salient_size=6),
    "MM-cVAE (Weinberger et al. 2022)": ContrastiveVAE(salient_size=6, moment_matching=0.03),
    "SepVAE (after Louiset et al. 2023)": SepVAE(salient_size=6),
}


def main() -> None:
    """Fit the models, measure the accuracy and draw the salient spaces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("contrastive_vae.png"))
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    cases, y, truth = make_digits_on_textures(N_TRAIN + 800, blend=0.8, random_state=0)
    kinds = truth["subtype"].to_numpy()[N_TRAIN:]
    table = LesionTable.from_arrays(patches=np.stack(list(cases["image"]))[:, None])
    new = table[N_TRAIN:]
    figure = plt.figure(figsize=(14, 4.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 3.6))
    for column, (kind, (name, *_)) in zip(left.subplots(4, 3).T, KINDS.items(), strict=True):
        column[0].set_title(name, fontsize=9)
        for ax, image in zip(column, new.patches[kinds == kind][:4, 0], strict=True):
            ax.imshow(image, cmap="gray", vmin=0, vmax=1)
            ax.set_axis_off()
    for ax, (title, model) in zip(right.subplots(1, 3), MODELS.items(), strict=True):
        model.set_params(max_epochs=options.epochs, batch_size=128, lr=8e-3, random_state=0)
        model.fit(table[:N_TRAIN], y[:N_TRAIN])
        s = model.set_params(output="salient").transform(new)
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        target = cross_val_score(linear, s, kinds >= 0).mean()
        digit = cross_val_score(linear, s[kinds >= 0], kinds[kinds >= 0]).mean()
        plane = LinearDiscriminantAnalysis().fit(s, kinds).transform(s)
        for kind, (name, colour, marker) in KINDS.items():
            ax.scatter(*plane[kinds == kind].T, s=9, c=colour, marker=marker, alpha=0.6, label=name)
        found = f"target {target:.0%}, digit {digit:.0%}"
        ax.set_title(f"{title}\n{found}", fontsize=10)
        ax.set(xlabel="discriminant 1 of salient latents", ylabel="discriminant 2")
        print(f"{title}: {found}")
    ax.legend(fontsize=8)
    figure.savefig(options.output, dpi=120)
    print(f"Figure: {options.output}")


if __name__ == "__main__":
    main()
