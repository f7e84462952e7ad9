"""What do deep features add? One table over cohorts, embeddings, networks and controls.

Cohorts are read from `$NONREDUNDANT_DATA` as the fetchers describe; phantoms are drawn. Each row is
one comparison of the hand-crafted features, the deep ones and both, with the deep features made
independent of the hand-crafted ones, by ridge logistic regression (times: Cox regression).
`python benchmarks/added_value.py` prints the table and writes it into docs/benchmarks.md;
`--only LUNG1 phantoms` restricts it to the rows whose names contain a word; `--rows FILE` keeps
the finished rows there, and a run that was interrupted continues.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from reporting import write_section
from sklearn.metrics import roc_auc_score
from torch import nn

from nonredundant import (
    FrozenEncoder,
    LesionTable,
    NonRedundantCVAE,
    RadiomicsExtractor,
    compare_feature_sets,
)
from nonredundant.datasets import (
    fetch_adrenal,
    fetch_hosny,
    fetch_lung1,
    fetch_pneumonia,
    fetch_sts,
    make_lesions,
)
from nonredundant.datasets.nsclc import HOSNY_COHORTS
from nonredundant.report.formatting import format_p

#: Lesions of the cohorts of images, and columns of made-up deep features.
N_IMAGES, N_MADE_UP = 400, 16
CUBE = (16, 16, 16)
#: Folds are repeated in smaller cohorts.
_LARGE = 200
#: Published AUC of the network of Hosny et al. 2018.
PUBLISHED = {"Maastro": 0.70, "M-SPORE": 0.71}


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes
    ----------
    name, deep : str
        Cohort, and the deep features: the name of an embedding, or "DLR" for the network's.
    load : callable
        Returns the lesions and the outcome.
    published : callable
        Returns a published figure to compare with, and what is found here.
    """

    name: str
    deep: str
    load: Callable[[], tuple[LesionTable, Any]]
    published: Callable[[], str] = str


def lung1(deep: str, *, times: bool = False) -> tuple[LesionTable, Any]:
    """Return the patients of LUNG1 with one embedding."""
    found = fetch_lung1()
    if deep == "CNN":
        table = LesionTable(found.data, embeddings={"CNN": found.cnn})
    else:
        table = LesionTable(found.data, embeddings={deep: found.embeddings[deep]})
    return table, found.times if times else found.target


def hosny(cohort: str) -> tuple[LesionTable, Any]:
    """Return a cohort with the output of the study's network."""
    found = fetch_hosny(cohort)
    return LesionTable(found.data, embeddings={"CNN": found.cnn}), found.target


def published(cohort: str) -> str:
    """Return the published AUC of the study's network, and that of its output in our table."""
    found = fetch_hosny(cohort)
    own = f"output of the CNN alone {roc_auc_score(found.target, found.cnn.iloc[:, 0]):.3f}"
    return f"{own}; published {PUBLISHED[cohort]:.2f}" if cohort in PUBLISHED else own


def radiomics_table(name: str, kind: str) -> tuple[LesionTable, Any]:
    """Return a table of radMLBench with noise, or with functions of its features, as embedding."""
    folder = Path(os.environ["NONREDUNDANT_DATA"]) / "tables"
    frame = pd.read_csv(folder / f"{name}.csv.gz")
    target = frame.pop("Target").astype(int)
    frame = frame.select_dtypes("number").add_prefix("f_")
    rng = np.random.default_rng(len(frame))
    made_up = rng.normal(size=(len(frame), N_MADE_UP))
    if kind == "functions":
        values = frame.to_numpy(dtype=float)
        spread = values.std(axis=0)
        values = (values - values.mean(axis=0))[:, spread > 0] / spread[spread > 0]
        u, s, _ = np.linalg.svd(values, full_matrices=False)
        leading = u[:, :8] * np.sqrt(len(frame))
        made_up = np.tanh(leading @ rng.normal(size=(8, N_MADE_UP))) + 0.3 * made_up
    return LesionTable(frame, embeddings={"MadeUp": pd.DataFrame(made_up)}), target


def untrained(n_dim: int) -> nn.Module:
    """Return a convolutional network that nothing has trained."""
    torch.manual_seed(0)
    conv = nn.Conv3d if n_dim == 3 else nn.Conv2d
    layers: list[nn.Module] = []
    for before, after in ((1, 32), (32, 64), (64, 256)):
        layers += [conv(before, after, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


def images(cohort: str, deep: str) -> tuple[LesionTable, Any]:
    """Return lesions with patches, and with the embedding of an encoder unless deep is "DLR"."""
    settings: dict[str, Any] = {"n_jobs": 2}
    if cohort == "AdrenalMNIST3D":
        cases, y = fetch_adrenal(split="train", return_X_y=True)
        settings |= {"feature_classes": ["shape"], "patch_shape": CUBE, "patch_spacing": 4.0}
    elif cohort == "PneumoniaMNIST":
        cases, y = fetch_pneumonia(split="train", return_X_y=True)
        settings |= {"bin_width": 25, "patch_shape": (28, 28), "whole_image": True}
    elif cohort == "sts":
        cases, y = fetch_sts(return_X_y=True)
        settings |= {"modality": "PET", "patch_shape": CUBE}
    else:
        effect = 0.0 if "no effect" in cohort else 2.7
        cases, y, _ = make_lesions(N_IMAGES, hidden_effect=effect, random_state=0)
        y = pd.Series(np.asarray(y), index=cases.index)
        settings |= {"bin_count": 32, "patch_shape": CUBE}
    if len(cases) > N_IMAGES:
        cases = cases.sample(N_IMAGES, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = RadiomicsExtractor(**settings).fit_transform(cases)
        if deep != "DLR":
            encoder = FrozenEncoder(untrained(table.patches.ndim - 2), name=deep, window="range")
            table = encoder.fit_transform(table).replace(patches=None, masks=None)
    return table, y.loc[table.index]


def all_rows() -> Iterator[Row]:
    """List the comparisons."""
    for deep in ("FMCIB", "FMCIB-control", "CNN"):
        yield Row("LUNG1, two years", deep, lambda deep=deep: lung1(deep))
    for deep in ("FMCIB", "FMCIB-control"):
        yield Row("LUNG1, times", deep, lambda deep=deep: lung1(deep, times=True))
    for cohort in HOSNY_COHORTS:
        read = partial(hosny, cohort)
        yield Row(f"Hosny {cohort}", "CNN", read, partial(published, cohort))
    cohorts = ("AdrenalMNIST3D", "PneumoniaMNIST", "sts", "phantoms", "phantoms, no effect")
    for cohort in cohorts:
        for deep in ("DLR", "Untrained"):
            yield Row(cohort, deep, lambda c=cohort, d=deep: images(c, d))
    folder = Path(os.environ["NONREDUNDANT_DATA"]) / "tables"
    for path in sorted(folder.glob("*.csv.gz")):
        name = path.name.removesuffix(".csv.gz")
        for kind in ("noise", "functions"):
            yield Row(f"{name}, {kind}", "MadeUp", lambda n=name, k=kind: radiomics_table(n, k))


def measure(row: Row) -> dict[str, str]:
    """Compare, and describe what was found."""
    table, y = row.load()
    fused = f"HCR+{row.deep}-MI"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = compare_feature_sets(
            table,
            y,
            cvae=NonRedundantCVAE(dlr_size=16, max_epochs=100),
            feature_sets=["HCR", f"{row.deep}-MI", fused],
            n_repeats=1 if len(table) >= _LARGE else 2,
            classifiers=None if np.ndim(y) > 1 else "LR",
            baselines=False,
            controls=False,
            n_jobs=2,
            random_state=0,
        )
    classifier = found.primary["classifier"]
    own = found.summary[found.summary["classifier"] == classifier].set_index("feature_set")
    tests = found.tests[found.tests["classifier"] == classifier].set_index("feature_set")
    difference = tests.loc[fused]
    audit = found.redundancy.set_index(["feature_set", "method"])
    block = f"{row.deep}-MI"
    informed = found.added_information
    informed = informed[informed["classifier"] == classifier].set_index("method")["p_value"]
    findings = found.findings()
    return {
        "cohort": row.name,
        "deep features": row.deep,
        "n": str(len(table)),
        "folds": str(found.settings.n_folds),
        "HCR": _scored(own.loc["HCR"]),
        "deep": _scored(own.loc[block]),
        "both": _scored(own.loc[fused]),
        "gain (95 %)": (
            f"{difference['estimate']:+.3f} ({difference['low']:+.3f} to "
            f"{difference['high']:+.3f}), p {format_p(difference['p_value'])}"
        ),
        "share of d that h explains": _audited(audit, block, "share-of-latents"),
        "dCor (null)": _audited(audit, block, "dcor"),
        "added information: largest p": format_p(float(informed.max())),
        "new": findings["new"].verdict if "new" in findings else "",
        "helps": findings["helps"].verdict if "helps" in findings else "",
    }


def _scored(scores: pd.Series) -> str:
    """Write a score with its interval."""
    return f"{scores['mean']:.3f} ({scores['low']:.2f}–{scores['high']:.2f})"


def _audited(audit: pd.DataFrame, block: str, method: str) -> str:
    """Write an estimate of the audit with the 95 % point of its null."""
    if (block, method) not in audit.index:
        return "–"
    row = audit.loc[(block, method)]
    return f"{row['estimate']:.2f} ({row['null_95']:.2f})"


def section(rows: list[dict[str, str]]) -> str:
    """Write the table and how often made-up features were claimed."""
    table = pd.DataFrame(rows)
    made_up = table[table["deep features"] == "MadeUp"]
    claimed = made_up["helps"].isin(["gain", "information"])
    text = (
        "Deep features d beside hand-crafted ones h: score of h, of d after what h explains of it "
        "was removed, and of both, on held-out folds, by ridge logistic regression (AUC) or Cox "
        "regression (concordance). `FMCIB-control`: the embedding after all voxels outside of the "
        "tumour were drawn at random; `Untrained`: 256 maps of a network that nothing trained; "
        "`MadeUp`: noise, or curved functions of the leading components of h. "
        f"{table['minutes'].astype(float).sum():.0f} minutes on a machine of two cores with other "
        "programs."
    )
    if len(made_up):
        text += (
            f"\n\n**Of {len(made_up)} tables with made-up features {int(claimed.sum())} were said "
            "to help.**"
        )
    return f"{text}\n\n{table.to_markdown(index=False)}"


def main() -> None:
    """Run the comparisons and write the section after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="Words in the names of rows.")
    parser.add_argument("--rows", type=Path, help="Keeps the finished rows.")
    options = parser.parse_args()
    kept = options.rows if options.rows and options.rows.exists() else None
    found: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept else {}
    for row in all_rows():
        name = f"{row.name} {row.deep}"
        if name in found or (options.only and not any(word in name for word in options.only)):
            continue
        start = time.perf_counter()
        found[name] = measure(row) | {"minutes": f"{(time.perf_counter() - start) / 60:.1f}"}
        print(" | ".join(found[name].values()), flush=True)
        if options.rows:
            options.rows.write_text(json.dumps(found), "utf-8")
    rows = []
    for row in all_rows():
        if (name := f"{row.name} {row.deep}") in found:
            # What costs nothing is computed again.
            rows.append(found[name] | {"published": row.published()})
    write_section("added_value.py", "What do deep features add?", section(rows))


if __name__ == "__main__":
    main()
