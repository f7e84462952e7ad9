"""Which features, and which latents, come back when images and masks are perturbed."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from reporting import write_section

from nonredundant import LesionTable, NonRedundantCVAE, RadiomicsExtractor
from nonredundant.datasets import fetch_adrenal, fetch_sts
from nonredundant.stability import Amounts, draw_perturbations, repeat_stability

#: Name → what turns a network into that set, as the comparison does.
NETWORKS: dict[str, dict[str, Any]] = {
    "DLR-MI (independent)": {},
    "DLR (unconstrained)": {"independence": None, "kappa": 0.0, "residualise": False},
}


def measured(extractor: RadiomicsExtractor, cases: pd.DataFrame, changes: Any) -> dict[str, Any]:
    """Return plain and perturbed lesions, and the CPU seconds that both took.

    The plain extraction runs before and after, so that the load of the machine is that of both.
    """
    extractor.fit(cases).transform(cases[:1])
    times = [time.process_time()]
    table = extractor.transform(cases)
    times.append(time.process_time())
    repeats = extractor.perturb(cases, changes)
    times.append(time.process_time())
    extractor.transform(cases)
    times.append(time.process_time())
    before, cost, after = np.diff(times)
    return {"table": table, "repeats": repeats, "plain": (before + after) / 2, "cost": cost}


def rows_of(name: str, found: dict[str, Any], train: int, epochs: int, seeds: int) -> list[str]:
    """Measure HCR and the latents of each network; lesions from `train` on are held out of it."""
    held = [repeat[np.arange(train, len(repeat))] for repeat in found["repeats"]]
    rows = [row(name, "HCR", [repeat_stability(held)])]
    for kind, settings in NETWORKS.items():
        stable = []
        for seed in range(seeds):
            cvae = NonRedundantCVAE(16, max_epochs=epochs, random_state=seed, **settings)
            cvae.fit(found["table"][np.arange(train)])
            stable.append(repeat_stability(held, cvae))
        rows.append(row(name, kind, stable))
    return rows


def row(name: str, kind: str, stable: list[Any]) -> str:
    """Return a line of the table: means over the seeds."""
    tables = [one.table for one in stable]
    icc = np.mean([table["icc"].median() for table in tables])
    estimate = np.mean([(table["icc"] >= 0.75).mean() for table in tables])
    lower = np.mean([one.share for one in stable])
    n = int(tables[0]["n_samples"].max())
    return (
        f"| {name} | {kind} | {n} | {len(tables[0])} | {icc:.2f} | {estimate:.2f} | {lower:.2f} |"
    )


def families(name: str, repeats: list[LesionTable]) -> str:
    """Describe the share of stable features by family."""
    table = repeat_stability(repeats).by_family()
    parts = [f"{one['family']} {one['n_stable']} of {one['n']}" for _, one in table.iterrows()]
    return f"{name}: {', '.join(parts)}"


def main() -> None:
    """Perturb both cohorts, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lesions", type=int, default=300, help="Adrenal glands.")
    parser.add_argument("--sarcomas", type=int, default=51)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--perturbations", type=int, default=8)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    n, epochs, seeds = arguments.perturbations, arguments.epochs, arguments.seeds
    sarcomas, _ = fetch_sts(return_X_y=True)
    sarcomas = sarcomas[: arguments.sarcomas]
    pet = RadiomicsExtractor("PET", patch_shape=(16, 16, 16))
    sts = measured(pet, sarcomas, draw_perturbations(n, "PET"))
    glands, _ = fetch_adrenal(return_X_y=True)
    glands = glands[: arguments.lesions]
    shape = RadiomicsExtractor(
        feature_classes=["shape"], patch_shape=(16, 16, 16), patch_spacing=4.0
    )
    # The images are the masks, which have neither noise nor edges for supervoxels.
    changes = draw_perturbations(n, Amounts(noise=0.0, contour=False))
    adrenal = measured(shape, glands, changes)
    half = len(glands) // 2
    lines = [
        *rows_of("`sts`, PET", sts, len(sarcomas) // 2, epochs, seeds),
        *rows_of("AdrenalMNIST3D", adrenal, half, epochs, seeds),
    ]
    cost = [
        f"| {name} | {len(found['table'])} | {found['plain']:.1f} | {found['cost']:.1f} "
        f"| {found['cost'] / found['plain']:.1f} |"
        for name, found in (("`sts`, PET", sts), ("AdrenalMNIST3D", adrenal))
    ]
    body = (
        f"{n} perturbations: in-plane rotation within 10°, shifts within half a voxel, noise of "
        "the image's own level, volume within 20 % (PET) or 15 %, contours by supervoxels; of "
        "AdrenalMNIST3D, whose images are masks, no noise and no supervoxels. ICC(1,1) over the "
        f"perturbed measurements. Networks of 16 latents, {epochs} epochs, {seeds} seeds, trained "
        "on unperturbed lesions of the first half of each cohort; the second half is compared.\n\n"
        "| cohort | columns | patients | number | median ICC | share with ICC ≥ .75 "
        "| with lower bound ≥ .75 |\n| --- | --- | --- | --- | --- | --- | --- |\n"
        + "\n".join(lines)
        + "\n\nHCR with a lower bound of .75 or more, by family. "
        + ". ".join(
            families(name, found["repeats"])
            for name, found in (("`sts`", sts), ("AdrenalMNIST3D", adrenal))
        )
        + f".\n\nCPU seconds of the plain extraction with patches of 16³, and of {n} perturbations "
        "of the same cases, which the plain extraction runs before and after; load average "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores:\n\n"
        "| cohort | cases | plain | perturbed | ratio |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(cost)
    )
    write_section("stability.py", "Stability under perturbation", body)


if __name__ == "__main__":
    main()
