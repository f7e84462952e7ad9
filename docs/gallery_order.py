"""Order of the examples on their page, and how their figures are saved."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl

#: From what features are to whole analyses.
ORDER = (
    "features",
    "vae",
    "cvae",
    "comparison",
    "embeddings",
    "centres",
    "selection",
    "petct",
    "patients",
    "survival",
    "validation",
    "novelty",
    "stability",
    "imbalance",
    "training",
    "grid_search",
    "sepvae",
    "contrastive_vae",
)


class ReadingOrder:
    """Sort key of sphinx-gallery; an example that is not listed comes last."""

    def __init__(self, src_dir: str) -> None:
        self.src_dir = src_dir

    def __call__(self, filename: str) -> tuple[int, str]:
        """Return the position of an example."""
        name = filename.removesuffix(".py")
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def save_tight(gallery_conf: dict[str, Any], filename: str) -> None:
    """Save figures with everything that is drawn beside their axes; called before each example."""
    mpl.rcParams["savefig.bbox"] = "tight"
