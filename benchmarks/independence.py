"""Compare how independent of h each term makes d, and at what cost: the choice of the defaults.

Each model is trained on 400 phantoms and audited on 600 others. `python benchmarks/independence.py
--side 16` prints a table and writes it into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from reporting import write_section
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nonredundant import NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import make_lesions
from nonredundant.independence import DistanceCorrelation, MIDiscriminator
from nonredundant.independence.terms import TERMS
from nonredundant.metrics import redundancy_report
from nonredundant.models.baselines import Residualiser

N_TRAIN, N_TEST = 400, 600
AUDIT = ("r2-ridge", "r2-mlp", "r2-forest", "discriminator-auc", "dcor")

MODELS = {
    "none (kappa 0)": {"independence": None},
    "distance correlation (default)": {},
    "… directions of h not equalised": {
        "independence": DistanceCorrelation(equal_directions=False, second_order=0)
    },
    "… equal directions, first order": {"independence": DistanceCorrelation(second_order=0)},
    "… default, h given to the decoder alone": {"conditioning": "plain"},
    "… default, no mirror images": {"augment": None},
    "… default, kappa 0.6": {"kappa": 0.6},
    "HSIC": {"independence": "hsic"},
    "cross-covariance, kappa 2": {"independence": "cross-covariance", "kappa": 2.0},
    "density ratio, each step": {"independence": "density-ratio"},
    "density ratio, alternate": {"independence": MIDiscriminator(schedule="alternate")},
    "density ratio, alternate, with gates": {
        "independence": MIDiscriminator(schedule="alternate"),
        "conditioning": "gated",
    },
}

#: A term that is added to the package is measured with the default weight.
MODELS |= {
    name: {"independence": name}
    for name in TERMS
    if name not in {"dcor", *(o["independence"] for o in MODELS.values() if "independence" in o)}
}


def draw(seed: int, side: int) -> tuple:
    """Draw phantoms with patches of `side` voxels per axis, and their labels."""
    cases, y, _ = make_lesions(N_TRAIN + N_TEST, random_state=seed)
    extractor = RadiomicsExtractor(modality="PET", patch_shape=(side,) * 3, n_jobs=2)
    return extractor.fit(cases).transform(cases), np.asarray(y)


def unexplained(model: NonRedundantCVAE, table) -> float:
    """Return the unexplained fraction of voxel variance inside the masks."""
    import torch

    module = model.net_.module_
    masks = torch.from_numpy(np.asarray(table.masks))
    with torch.no_grad():
        x = module.scaler(torch.from_numpy(np.asarray(table.patches)), masks)
        px = module.scaler(torch.from_numpy(model.reconstruct(table)), masks)
    return float((x - px).square().sum() / (module.total_variance * len(table)))


def measure(name: str, d: tuple, table, y: np.ndarray, start: float, fvu: float) -> dict:
    """Return the row of one model: reconstruction error, fused AUC and audit."""
    h = table.features.to_numpy()
    both = [np.hstack([h[rows], part]) for rows, part in zip(split(), d, strict=True)]
    clf = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    clf.fit(both[0], y[:N_TRAIN])
    report = redundancy_report(h[N_TRAIN:], d[1], methods=AUDIT, n_permutations=20, random_state=0)
    return {
        "model": name,
        "FVU": fvu,
        "fused AUC": roc_auc_score(y[N_TRAIN:], clf.decision_function(both[1])),
        **report["estimate"].to_dict(),
        "s": time.perf_counter() - start,
    }


def split() -> tuple[slice, slice]:
    """Return the rows of training and audit."""
    return slice(0, N_TRAIN), slice(N_TRAIN, None)


def run(seed: int, names: list[str], side: int) -> pd.DataFrame:
    """Fit all models with one seed and return their rows."""
    table, y = draw(seed, side)
    train, test = (table[rows] for rows in split())
    h = table.features.to_numpy()
    clf = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(
        h[:N_TRAIN], y[:N_TRAIN]
    )
    alone = roc_auc_score(y[N_TRAIN:], clf.decision_function(h[N_TRAIN:]))
    rows = [{"model": "hand-crafted features alone", "fused AUC": alone}]
    for name in names:
        start = time.perf_counter()
        model = NonRedundantCVAE(output="dlr", random_state=seed, **MODELS[name]).fit(train)
        d = model.transform(train), model.transform(test)
        fvu = unexplained(model, test)
        rows.append(measure(name, d, table, y, start, fvu))
        print(pd.Series(rows[-1]).to_frame().T.to_string(header=False), flush=True)
        if name == "none (kappa 0)":
            start = time.perf_counter()
            residual = Residualiser().fit(train.features, d[0])
            freed = tuple(
                residual.transform(part.features, values)
                for part, values in zip((train, test), d, strict=True)
            )
            rows.append(measure("… residualised on h afterwards", freed, table, y, start, np.nan))
    return pd.DataFrame(rows).assign(seed=seed)


def main() -> None:
    """Run all seeds and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=32, help="voxels per axis of the patches")
    parser.add_argument("--models", help="names, separated by ';'; all by default")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    names = options.models.split(";") if options.models else list(MODELS)
    every = pd.DataFrame()
    for seed in range(options.seeds):
        every = pd.concat([every, run(seed, names, options.side)], ignore_index=True)
        write(every, options.side, seed + 1)


def write(every: pd.DataFrame, side: int, n_seeds: int) -> None:
    """Write the table of the finished seeds."""
    means = every.drop(columns="seed").groupby("model", sort=False)
    table = means.mean().round(3).drop(columns="s")
    spread = means.std().max().round(3)
    between = (
        f"mean of {n_seeds} seeds; the largest standard deviation between seeds is "
        f"{spread['FVU']} of FVU, {spread['fused AUC']} of AUC, {spread['r2-forest']} of the "
        f"forest's R² and {spread['dcor']} of dCor"
        if n_seeds > 1
        else "one seed"
    )
    body = (
        f"Phantoms (`make_lesions`), patches of {side}³, {N_TRAIN} for training, {N_TEST} for the "
        f"audit, 107 hand-crafted features, 16 latents, {between}. FVU: unexplained fraction of "
        "voxel variance; fused AUC: plain logistic regression on (h, d); R² of h from d, AUC of a "
        "newly trained discriminator and distance correlation are those of `redundancy_report`.\n\n"
        + markdown(table)
    )
    title = f"Independence terms, patches of {side}³"
    write_section(f"independence.py --side {side}", title, body)


def markdown(table: pd.DataFrame) -> str:
    """Format the table in Markdown."""
    names = ["model", *table.columns]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for model, row in table.iterrows():
        cells = ["–" if np.isnan(value) else f"{value:.3f}" for value in row]
        lines.append("| " + " | ".join([str(model), *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
