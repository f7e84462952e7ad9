"""
What does each latent show, and would it come back?
===================================================

Draw the atlas of the latents of a NonRedundantCVAE, and their stability between seeds.

Trains on lesions with a factor that hand-crafted radiomics do not measure. Draws the region of the
image that each latent changes and the hand-crafted feature that it correlates with most (weakly,
owing to the independence term), and below the agreement of fits with other seeds.
Run `python examples/cvae.py` (under a minute).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.displays import LatentAtlasDisplay, LatentStabilityDisplay
from nonredundant.inspection import latent_atlas, latent_stability

N_TRAIN = 160


def main() -> None:
    """Fit the model, compute atlas and stability, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("cvae.png"))
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    cases, _y, _truth = make_lesions(240, random_state=0)
    extractor = RadiomicsExtractor("PET", patch_shape=(16, 16, 16), n_jobs=2)
    table = extractor.fit(cases).transform(cases)
    known, new = table[:N_TRAIN], table[N_TRAIN:]
    cvae = NonRedundantCVAE(8, max_epochs=options.epochs, output="dlr", random_state=0).fit(known)
    stability = latent_stability(cvae, known, X_test=new, n_fits=2, random_state=0)
    atlas = latent_atlas(cvae, new)
    figure = plt.figure(figsize=(9.2, 8.6))
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 2), gridspec_kw={"hspace": 0.35})
    LatentAtlasDisplay.from_atlas(atlas, ax=upper)
    LatentStabilityDisplay.from_stability(stability, ax=lower)
    print(atlas.table.round(2).to_string())
    figure.savefig(options.output, dpi=120, bbox_inches="tight")
    print(f"Figure: {options.output}")


if __name__ == "__main__":
    main()
