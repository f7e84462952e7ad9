"""Where the time of a comparison goes: extraction, networks, classifiers, audit."""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

from reporting import write_section
from skorch.callbacks import Callback

from nonredundant import NonRedundantCVAE, RadiomicsExtractor, compare_feature_sets
from nonredundant.datasets import fetch_sts

#: Where the settings of a comparison keep the seconds of each part.
PARTS = {
    "extraction": "extraction, once a case",
    "features": "networks and components",
    "classifiers": "classifiers, tuned",
    "audit": "audit",
}


class EpochSeconds(Callback):
    """Adds up the epochs' seconds on itself: a network's own history stays in its process."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Start at 0."""
        self.seconds_, self.fit_seconds_ = 0.0, 0.0
        self.begin_ = time.perf_counter()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Look at the clock."""
        self.start_ = time.perf_counter()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Add what has passed."""
        self.seconds_ += time.perf_counter() - self.start_

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Note what the whole training took."""
        self.fit_seconds_ = time.perf_counter() - self.begin_


def main() -> None:
    """Compare on the sarcomas with defaults and write down the seconds."""
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
        cvae=NonRedundantCVAE(callbacks=[EpochSeconds()]),
        n_jobs=options.jobs,
        random_state=0,
    )
    whole = time.perf_counter() - start
    seconds = found.settings.seconds
    networks = [one for one in found.networks.values() if hasattr(one, "net_")]
    epochs = sum(cvae.callbacks[0].seconds_ for cvae in networks)
    fits = sum(cvae.callbacks[0].fit_seconds_ for cvae in networks)
    ratio = seconds["features"] * options.jobs / epochs
    lines = [
        f"`compare_feature_sets` on the 51 patients of `fetch_sts()`, patches of 32³, 5 folds, "
        f"default sets, baselines, classifiers and audit, `n_jobs={options.jobs}`: "
        f"**{whole / 60:.1f} minutes** (asked: at most 10).",
        "",
        "| part | seconds |",
        "| --- | --- |",
        *(f"| {title} | {seconds[part]:.1f} |" for part, title in PARTS.items()),
        "",
        f"The {len(networks)} networks spent {epochs:.1f} s in their epochs, their training "
        f"{fits / epochs:.2f} times as long. The whole part took {ratio:.2f} times as long, "
        "process seconds against process seconds (asked: at most 1.2): with components, the start "
        "of the processes, which load torch, and the wait for the last of them.",
    ]
    write_section("comparison.py", "Where the time of a comparison goes", "\n".join(lines))


if __name__ == "__main__":
    main()
