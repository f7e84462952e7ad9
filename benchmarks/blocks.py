"""Cost of noise, and gain of one informative latent, beside the hand-crafted features of `sts`.

16 columns are added to the 107 features of 51 patients: noise, or one latent of the stated AUC and
15 of noise. Both sets are tuned and fitted by the comparison's own classifiers.
`python benchmarks/blocks.py` prints a table and writes it into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from reporting import write_section
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer

from nonredundant import RadiomicsExtractor
from nonredundant.datasets import fetch_sts
from nonredundant.folds.fitting import FitOptions, fit_model
from nonredundant.folds.outcome import Outcome, read_outcome
from nonredundant.folds.representations import Blocks
from nonredundant.folds.splits import inner_splits, make_folds

N_ADDED = 16
#: Name in the table → name of the classifier, and the classifier if it is none of the package's.
CLASSIFIERS = {
    "LR, one penalty per block": ("LR", None),
    "LR, C = 0.1, one penalty, not tuned": ("mine", LogisticRegression(C=0.1)),
    "SVM": ("SVM", None),
    "RF": ("RF", None),
}


def added(kind: str, y: np.ndarray, seed: int) -> pd.DataFrame:
    """Draw the added columns; `kind` is "noise" or the AUC of the first one."""
    rng = np.random.default_rng(seed)
    d = rng.normal(size=(len(y), N_ADDED))
    if kind != "noise":
        # The AUC of two normal laws of variance 1 is Phi(difference / sqrt 2).
        d[:, 0] += np.sqrt(2) * norm.ppf(float(kind)) * y
    return pd.DataFrame(d)


def gain(name: str, kind: str, h: pd.DataFrame, outcome: Outcome, seed: int) -> np.ndarray:
    """Return the AUC of the features alone and with the added columns, means over five folds."""
    classifier, own = CLASSIFIERS[name]
    d = added(kind, outcome.y, seed)
    options = FitOptions({"roc_auc": get_scorer("roc_auc")})
    scores = []
    for fold in make_folds(outcome.strata, cv=5, seed=seed):
        splits = inner_splits(outcome.strata[fold.train], None, fold.seed)
        pair = [
            fit_model("set", classifier, own, Blocks(h, part), outcome, fold, splits, options)
            for part in (d.iloc[:, :0], d)
        ]
        scores.append([one.scores["roc_auc"] for one in pair])
    return np.mean(scores, axis=0)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--kinds", nargs="*", default=["noise", "0.8", "0.9"])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    bunch = fetch_sts()
    h = RadiomicsExtractor("PET", patch_shape=None).fit(bunch.data).transform(bunch.data).hcr
    outcome = read_outcome(bunch.target.to_numpy(), None, len(h), 0)
    rows = []
    for name in CLASSIFIERS:
        row: dict[str, object] = {"classifier": name}
        for kind in options.kinds:
            found = np.array([gain(name, kind, h, outcome, seed) for seed in range(options.draws)])
            change = found[:, 1] - found[:, 0]
            error = change.std(ddof=1) / np.sqrt(len(change))
            row["HCR alone"] = f"{found[:, 0].mean():.3f}"
            column = "16 columns of noise" if kind == "noise" else f"one latent of AUC {kind}"
            row[column] = f"{change.mean():+.3f} ± {error:.3f}"
        rows.append(row)
        print(row, flush=True)
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    text = f"Change of the AUC over {options.draws} draws, ± its standard error.\n\n{table}"
    write_section("blocks.py", "What added columns cost and gain", text)


if __name__ == "__main__":
    main()
