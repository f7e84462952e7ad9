"""Measure the time of a comparison by part: extraction, networks, classifiers, audit."""

from __future__ import annotations

import argparse
import tempfile
import time
import uuid
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from reporting import write_section
from skorch.callbacks import Callback

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import fetch_sts

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


def main() -> None:
    """Run a comparison with defaults on the sarcomas and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=None)
    parser.add_argument("--print", action="store_true", help="do not write the section")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    X, y = fetch_sts(return_X_y=True)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        found = compare_feature_sets(
            X,
            y,
            extractor=RadiomicsExtractor("PET"),
            cvae=NonRedundantCVAE(net_params={"callbacks": [EpochSeconds(folder)]}),
            n_repeats=options.repeats,
            n_jobs=options.jobs,
            random_state=0,
        )
        whole = time.perf_counter() - start
        rows = [file.read_text(encoding="utf-8").split() for file in Path(folder).iterdir()]
    seconds = found.settings.seconds
    epochs, fits = np.array(rows, dtype=float).sum(axis=0)
    ratio = seconds["features"] * options.jobs / epochs
    done = found.settings
    lines = [
        f"`compare_feature_sets` on the 51 patients of `fetch_sts()`, patches of 32³, "
        f"{done.n_folds} folds over all repeats ({done.n_repeats}), default sets, baselines, "
        f"classifiers and audit, `n_jobs={options.jobs}`: **{whole / 60:.1f} minutes** "
        "(required: at most 10).",
        "",
        "| part | seconds |",
        "| --- | --- |",
        *(f"| {title} | {seconds[part]:.1f} |" for part, title in PARTS.items()),
        "",
        f"The epochs of the {len(rows)} networks took {epochs:.1f} s and their training "
        f"{fits / epochs:.2f} times as long. The whole part took {ratio:.2f} times as long, in "
        "seconds summed over processes (required: at most 1.2): it includes the principal "
        "components, the start of the processes, which import torch and skorch (which imports "
        "torch_geometric where it is installed), and waiting for the last.",
    ]
    body = "\n".join(lines)
    print(body) if options.print else write_section("comparison.py", SECTION, body)


if __name__ == "__main__":
    main()
