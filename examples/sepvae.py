"""
What do targets have that the background lacks?
===============================================

Remove the pattern of target images with SepVAE, and transfer it to other images.

Background images show an organ; targets also have a blob or a ring, and the model is trained only
with the label "target". Draws targets, their background counterparts, the removed pattern, and the
same organs with the pattern of the next row; beside them the salient space, coloured by the
sub-type, which was not used in training. Run `python examples/sepvae.py` (under a minute).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from nonredundant import LesionTable
from nonredundant.contrastive import SepVAE
from nonredundant.datasets import make_contrastive
from nonredundant.displays import LatentSpaceDisplay

N_ROWS = 4


def main() -> None:
    """Fit the model, remove and swap patterns, and draw the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("sepvae.png"))
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    cases, y, truth = make_contrastive(3000, salient_effect=1.0, random_state=0)
    table = LesionTable.from_arrays(patches=np.stack(list(cases["image"]))[:, None])
    known = slice(2400)
    model = SepVAE(
        max_epochs=options.epochs, batch_size=128, lr=8e-3, output="salient", random_state=0
    )
    model.fit(table[known], y[known])

    targets = np.flatnonzero(y == 1)
    new = targets[targets >= 2400]
    kinds = truth["subtype"].to_numpy()
    rows = np.concatenate([new[kinds[new] == kind][: N_ROWS // 2] for kind in (0, 1)])
    rows = rows.reshape(2, -1).T.ravel()  # blob, ring, blob, ring
    shown = table[rows]
    drawn, plain = model.reconstruct(shown), model.reconstruct(shown, salient=False)
    columns = {
        "target": shown.patches,
        "reconstructed": drawn,
        "as background": plain,
        "removed": drawn - plain,
        "pattern of next row": model.swap(shown, shown[np.roll(np.arange(N_ROWS), -1)]),
    }
    figure = plt.figure(figsize=(13, 5.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(5, 4))
    axes = left.subplots(N_ROWS, len(columns))
    low, high = np.quantile(shown.patches, [0.01, 0.99])
    for column, (title, images) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(title, fontsize=9)
        for ax, image in zip(column, images[:, 0], strict=True):
            shown_as = ("RdBu_r", -0.8, 0.8) if title == "removed" else ("gray", low, high)
            ax.imshow(image, **dict(zip(("cmap", "vmin", "vmax"), shown_as, strict=True)))
            ax.set_axis_off()
    names = np.array(["blob", "ring"])[kinds[new]]
    LatentSpaceDisplay.from_latents(
        model.transform(table[new]),
        names,
        colour_name="sub-type",
        title="salient space of new targets",
        ax=right.subplots(),
    )
    figure.savefig(options.output, dpi=120)
    print(f"Figure: {options.output}")


if __name__ == "__main__":
    main()
