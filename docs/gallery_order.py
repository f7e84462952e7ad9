"""Order of the examples on their page: from what features are to whole analyses."""

from __future__ import annotations

ORDER = (
    "features",
    "vae",
    "cvae",
    "comparison",
    "patients",
    "survival",
    "novelty",
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
