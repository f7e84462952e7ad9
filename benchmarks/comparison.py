"""Measure the time of a comparison by part: extraction, networks, classifiers, audit."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from reporting import write_section
from skorch.callbacks import Callback

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import fetch_adrenal, fetch_sts

SECTION = "Time of a comparison by part"
#: Titles of the parts, by their names in the settings of a comparison.
PARTS = {
    "extraction": "extraction, once per case",
    "features": "networks and components",
    "classifiers": "classifiers, tuned",
    "audit": "audit",
}


class EpochSeconds(Callback):
    """Write the seconds of the epochs of each network to a file, as workers return no times.

    Parameters
    ----------
    folder : str
        Where the files are written.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Reset the times."""
        self.seconds_, self.fit_seconds_ = 0.0, 0.0
        self.begin_ = time.perf_counter()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Store the start of the epoch."""
        self.start_ = time.perf_counter()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Add the duration of the epoch."""
        self.seconds_ += time.perf_counter() - self.start_

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Write the durations of the epochs and of the training."""
        row = f"{self.seconds_} {time.perf_counter() - self.begin_}"
        Path(self.folder, uuid.uuid4().hex).write_text(row, encoding="utf-8")


def sarcomas() -> tuple[Any, Any, dict[str, Any]]:
    """Return 51 PET, their outcome and the settings of a comparison."""
    X, y = fetch_sts(return_X_y=True)
    return X, y, {"extractor": RadiomicsExtractor("PET")}


def glands() -> tuple[Any, Any, dict[str, Any]]:
    """Return the 1,188 training shapes of AdrenalMNIST3D, which have no grey levels."""
    found = fetch_adrenal(split="train")
    extractor = RadiomicsExtractor(
        feature_classes=["shape"], patch_shape=(16,) * 3, patch_spacing=4.0
    )
    return found.data, found.target, {"extractor": extractor}


#: Cohorts, and the most minutes that a comparison should take.
COHORTS: dict[str, tuple[Callable[[], tuple[Any, Any, dict[str, Any]]], float]] = {
    "sts": (sarcomas, 2.0),
    "adrenal": (glands, 6.0),
}


def measure(name: str, n_jobs: int, repeats: int | None) -> str:
    """Compare feature sets with defaults and return the time of each part in words."""
    make, most = COHORTS[name]
    X, y, options = make()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        found = compare_feature_sets(
            X,
            y,
            cvae=NonRedundantCVAE(net_params={"callbacks": [EpochSeconds(folder)]}),
            n_repeats=repeats,
            n_jobs=n_jobs,
            random_state=0,
            **options,
        )
        whole = time.perf_counter() - start
        rows = [file.read_text(encoding="utf-8").split() for file in Path(folder).iterdir()]
    seconds, done = found.settings.seconds, found.settings
    epochs, fits = np.array(rows, dtype=float).sum(axis=0)
    ratio = seconds["features"] * n_jobs / epochs
    lines = [
        f"`{name}`, {len(y)} cases, {done.n_folds} folds over all repeats ({done.n_repeats}): "
        f"**{whole / 60:.1f} minutes** (asked: at most {most:g}).",
        "",
        "| part | seconds |",
        "| --- | --- |",
        *(f"| {title} | {seconds[part]:.1f} |" for part, title in PARTS.items()),
        f"| tests, controls, atlas and the rest | {whole - sum(seconds.values()):.1f} |",
        "",
        f"The epochs of the {len(rows)} networks took {epochs:.1f} s and their training "
        f"{fits / epochs:.2f} times as long. The whole part took {ratio:.2f} times as long, in "
        "seconds summed over processes.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run comparisons with defaults and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=None)
    parser.add_argument("--only", choices=tuple(COHORTS), help="one cohort, which is printed")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    names = [options.only] if options.only else list(COHORTS)
    body = "\n\n".join(
        [
            "`compare_feature_sets` with default sets, baselines, classifiers, controls and audit, "
            f"`n_jobs={options.jobs}`. Load average at the start: {os.getloadavg()[0]:.1f}.",
            *(measure(name, options.jobs, options.repeats) for name in names),
        ]
    )
    print(body) if options.only else write_section("comparison.py", SECTION, body)


if __name__ == "__main__":
    main()
