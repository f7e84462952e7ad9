"""
Do deep features add to hand-crafted ones?
==========================================

Compare hand-crafted, deep and fused features, on phantoms where the deep ones add information.

Draws phantoms as a case table, compares the feature sets in one cross-validation, prints the answer
and saves the figure of the README. Run `python examples/comparison.py` (about two minutes on two
cores).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import make_lesions

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"


def main() -> None:
    """Run the comparison, print the answer and save the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=IMAGES / "comparison.png")
    parser.add_argument("--samples", type=int, default=240)
    options = parser.parse_args()
    mpl.use("Agg")
    cases, y, _truth = make_lesions(options.samples, random_state=1)
    found = compare_feature_sets(
        cases,
        y,
        extractor=RadiomicsExtractor(modality="PET", patch_shape=(16, 16, 16)),
        cvae=NonRedundantCVAE(max_epochs=40),
        classifiers=("LR",),
        audit=False,
        n_jobs=2,
        random_state=0,
        verbose=1,
    )
    print(found.answer())
    display = found.plot()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    display.figure_.savefig(options.output, dpi=110, bbox_inches="tight")
    print(f"Figure: {options.output}")


if __name__ == "__main__":
    main()
