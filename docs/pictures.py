"""Draw the pictures of the pages: the figures of reports on two cohorts of phantoms.

Run `python docs/pictures.py` (ten minutes on one core) after a change of figures or of the report;
the answers that it prints are quoted in `docs/report.md`.
"""

from __future__ import annotations

import argparse
import base64
import re
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from PIL import Image

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import make_lesions

IMAGES = Path(__file__).resolve().parent / "images"
FIGURE = re.compile(r'<figure id="figure-(\w+)".*?src="data:image/png;base64,([^"]+)"', re.S)
#: Pixels; pages are 700 to 900 wide.
WIDTH = 1000


def compare_sets(n_samples: int) -> Any:
    """Compare the sets on phantoms whose label depends on something that HCR do not measure."""
    cases, y, _truth = make_lesions(n_samples, random_state=1)
    return compare_feature_sets(
        cases,
        y,
        extractor=RadiomicsExtractor(modality="PET", patch_shape=(16, 16, 16)),
        cvae=NonRedundantCVAE(max_epochs=40),
        classifiers=("LR",),
        audit=("r2-ridge", "discriminator-auc", "dcor"),
        n_jobs=2,
        random_state=0,
        verbose=1,
    )


def compare_patients(n_samples: int) -> Any:
    """Compare pooling and the lesion graph, where the distance of two lesions matters."""
    cases, y, _truth = make_lesions(
        n_samples,
        n_lesions=(2, 10),
        visible_effect=0.0,
        hidden_effect=0.0,
        worst_effect=1.0,
        relational_effect=4.0,
        clinical_effect=1.0,
        spacing=3.0,
        random_state=0,
    )
    return compare_feature_sets(
        cases,
        y,
        extractor=RadiomicsExtractor(
            modality="PET",
            feature_classes={"firstorder": ["Mean", "Maximum"], "shape": ["VoxelVolume"]},
            patch_shape=None,
            lesions="components",
            clinical=["age", "weight"],
        ),
        feature_sets=("Clinical", "Clinical+HCR"),
        classifiers=("LR",),
        patients="graph",
        n_repeats=1,
        n_jobs=2,
        random_state=0,
        verbose=1,
    )


def save_figures(comparison: Any, names: set[str], folder: Path) -> None:
    """Save some figures of the report of a comparison, with few colours and so small."""
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        comparison.to_html(page)
        found = dict(FIGURE.findall(page.read_text(encoding="utf-8")))
    for name in sorted(names):
        image = Image.open(BytesIO(base64.b64decode(found[name]))).convert("RGB")
        if image.width > WIDTH:
            size = (WIDTH, round(image.height * WIDTH / image.width))
            image = image.resize(size, Image.Resampling.LANCZOS)
        image.quantize(128).save(folder / f"report_{name}.png", optimize=True)


def main() -> None:
    """Run both comparisons, print their answers and save the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=IMAGES)
    options = parser.parse_args()
    mpl.use("Agg")
    options.output.mkdir(parents=True, exist_ok=True)
    found = compare_sets(240)
    print(found.answer())
    found.plot().figure_.savefig(options.output / "comparison.png", dpi=110, bbox_inches="tight")
    single = {"forest", "redundancy", "roc", "weights", "latents", "atlas", "losses"}
    save_figures(found, single | {"reliability", "benefit"}, options.output)
    graph = compare_patients(150)
    print(graph.answer())
    save_figures(graph, {"graphs"}, options.output)


if __name__ == "__main__":
    main()
