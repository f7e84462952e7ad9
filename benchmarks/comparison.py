"""Measure the time of a comparison by part: extraction, networks, classifiers, audit."""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

from reporting import write_section
from skorch.callbacks import Callback

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import fetch_sts

#: Titles of the parts, by their names in the settings of a comparison.
PARTS = {
    "extraction": "extraction, once per case",
    "features": "networks and components",
    "classifiers": "classifiers, tuned",
    "audit": "audit",
}


class EpochSeconds(Callback):
    """Record the seconds of the epochs; the net's own history is not returned by the workers."""

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
        """Store the duration of the training."""
        self.fit_seconds_ = time.perf_counter() - self.begin_


def main() -> None:
    """Run a comparison with defaults on the sarcomas and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    X, y = fetch_sts(return_X_y=True)
    start = time.perf_counter()
    found = compare_feature_sets(
        X,
        y,
        extractor=RadiomicsExtractor("PET"),
        cvae=NonRedundantCVAE(net_params={"callbacks": [EpochSeconds()]}),
        n_jobs=options.jobs,
        random_state=0,
    )
    whole = time.perf_counter() - start
    seconds = found.settings.seconds
    networks = [one for one in found.networks.values() if hasattr(one, "net_")]
    timers = [cvae.net_params["callbacks"][0] for cvae in networks]
    epochs = sum(timer.seconds_ for timer in timers)
    fits = sum(timer.fit_seconds_ for timer in timers)
    ratio = seconds["features"] * options.jobs / epochs
    lines = [
        f"`compare_feature_sets` on the 51 patients of `fetch_sts()`, patches of 32³, 5 folds, "
        f"default sets, baselines, classifiers and audit, `n_jobs={options.jobs}`: "
        f"**{whole / 60:.1f} minutes** (required: at most 10).",
        "",
        "| part | seconds |",
        "| --- | --- |",
        *(f"| {title} | {seconds[part]:.1f} |" for part, title in PARTS.items()),
        "",
        f"The epochs of the {len(networks)} networks took {epochs:.1f} s and their training "
        f"{fits / epochs:.2f} times as long. The whole part took {ratio:.2f} times as long, in "
        "seconds summed over processes (required: at most 1.2): it includes the principal "
        "components, the start of the processes, which import torch, and waiting for the last.",
    ]
    write_section("comparison.py", "Time of a comparison by part", "\n".join(lines))


if __name__ == "__main__":
    main()
