"""
Do the latents repeat the hand-crafted features?
================================================

Compare the redundancy of a VAE and a NonRedundantCVAE, and draw traversals of the latents.

Trains both on the same lesions, prints how much of the hand-crafted features is predictable from
the latents of each, and draws how the latents of the second change one lesion. Run
`python examples/vae.py` (under a minute).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, redundancy_score
from nonredundant.contrastive import VAE
from nonredundant.datasets import make_lesions
from nonredundant.displays import TraversalDisplay


def main() -> None:
    """Fit both models, print their redundancy and draw traversals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("vae.png"))
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    mpl.use("Agg")
    cases, _y, _truth = make_lesions(240, random_state=0)
    extractor = RadiomicsExtractor("PET", patch_shape=(16, 16, 16), n_jobs=2)
    table = extractor.fit(cases).transform(cases)
    train, new = table[:160], table[160:]
    plain = VAE(6, max_epochs=options.epochs, random_state=0).fit(train)
    freed = NonRedundantCVAE(6, max_epochs=options.epochs, output="dlr", random_state=0).fit(train)
    for name, model in (("VAE", plain), ("NonRedundantCVAE", freed)):
        shared = redundancy_score(new.features, model.transform(new), "r2-ridge", random_state=0)
        print(f"{name}: latents explain {max(shared, 0):.0%} of the hand-crafted features")
    display = TraversalDisplay.from_estimator(freed, new, row=0, latents=range(6))
    display.figure_.savefig(options.output, dpi=120, bbox_inches="tight")
    print(f"Figure: {options.output}")


if __name__ == "__main__":
    main()
