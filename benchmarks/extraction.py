"""Compare the extractor with a plain loop over pyradiomics, on the 51 PET images of `sts`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import SimpleITK as sitk
from joblib.externals.loky import get_reusable_executor
from reporting import write_section
from threadpoolctl import threadpool_limits

from nonredundant.datasets import fetch_sts
from nonredundant.extraction import RadiomicsExtractor
from nonredundant.radiomics import quiet, resolve_parameters

#: Image types whose features are computed beside those of the original image.
FILTERED = {"Original": {}, "LoG": {"sigma": [2.0, 4.0]}, "Wavelet": {}}
#: Voxels per axis of the patches in the memory measurement; large, so that they dominate.
SIDE = 64


def seconds(call: Any) -> tuple[float, Any]:
    """Time a call and return its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def plain_loop(cases: pd.DataFrame, types: dict[str, Any] | None = None) -> pd.DataFrame:
    """Measure with pyradiomics alone, as in its manual, with the settings of our preset."""
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    extractor = RadiomicsFeatureExtractor(
        {
            "setting": resolve_parameters(modality="PET")["setting"],
            "imageType": types or {"Original": {}},
        }
    )
    with quiet():
        rows = [
            extractor.execute(image, mask)
            for image, mask in zip(cases["image"], cases["mask"], strict=True)
        ]
    frame = pd.DataFrame(rows, index=cases.index)
    return frame.loc[:, ~frame.columns.str.startswith("diagnostics")].astype(float)


def ours(cases: pd.DataFrame, **parameters: Any) -> Any:
    """Measure with the extractor."""
    return RadiomicsExtractor("PET", **parameters).fit_transform(cases)


def one_round(cases: pd.DataFrame) -> dict[str, float]:
    """Time each method once, and the plain loop at the start and the end."""
    found: dict[str, float] = {}
    before, reference = seconds(lambda: plain_loop(cases))
    found["no patches"], table = seconds(lambda: ours(cases, patch_shape=None))
    np.testing.assert_allclose(table.features[reference.columns], reference, rtol=1e-9, atol=1e-12)
    found["one"], _ = seconds(lambda: ours(cases))
    get_reusable_executor().shutdown()
    found["two, start"], _ = seconds(lambda: ours(cases, n_jobs=2))
    found["two"], _ = seconds(lambda: ours(cases, n_jobs=2))
    with tempfile.TemporaryDirectory() as folder:
        found["fill"], _ = seconds(lambda: ours(cases, memory=folder))
        found["cache"], _ = seconds(lambda: ours(cases, memory=folder))
    after, _ = seconds(lambda: plain_loop(cases))
    found["plain"] = (before + after) / 2
    return found


def filtered_round(cases: pd.DataFrame) -> dict[str, float]:
    """Time the methods once with filtered images, the plain loop at the start and the end."""
    found: dict[str, float] = {}
    before, reference = seconds(lambda: plain_loop(cases, FILTERED))
    found["no patches"], table = seconds(
        lambda: ours(cases, patch_shape=None, image_types=FILTERED)
    )
    np.testing.assert_allclose(table.features[reference.columns], reference, rtol=1e-9, atol=1e-12)
    found["one"], _ = seconds(lambda: ours(cases, image_types=FILTERED))
    ours(cases[:2], n_jobs=2)
    found["two"], _ = seconds(lambda: ours(cases, image_types=FILTERED, n_jobs=2))
    after, _ = seconds(lambda: plain_loop(cases, FILTERED))
    found["plain"] = (before + after) / 2
    return found


def peak_memory(repeats: int, side: int, *, give_back: bool) -> float:
    """Return the peak memory (MiB) of a new process that measures the cohort `repeats` times."""
    command = [sys.executable, __file__, "--peak", str(repeats), str(side)]
    environment = dict(os.environ)
    if give_back:
        # glibc then returns every large array to the system when it is freed.
        environment["MALLOC_MMAP_THRESHOLD_"] = "131072"
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(found.stdout)


def print_peak(cases: pd.DataFrame, repeats: int, side: int) -> None:
    """Extract, and print the peak memory of this process."""
    many = pd.concat([cases] * repeats, ignore_index=True)
    ours(many, patch_shape=(side,) * 3 if side else None)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def memory_table(n_cases: int) -> str:
    """Return the growth of peak memory per case, with and without patches."""
    rows = []
    kept = "patches of {}³"
    freed = "patches of {}³, `MALLOC_MMAP_THRESHOLD_=131072`"
    for name, side, give_back in (
        ("no patches", 0, False),
        (kept, SIDE, False),
        (freed, SIDE, True),
    ):
        once, thrice = (peak_memory(n, side, give_back=give_back) for n in (1, 3))
        growth = (thrice - once) / (2 * n_cases)
        # Four bytes per voxel of the image and one of the mask.
        size = 5 * side**3 / 2**20
        cells = (f"{once:.0f}", f"{thrice:.0f}", f"{growth:.2f}", f"{size:.2f}")
        rows.append(f"| {name.format(side)} | {' | '.join(cells)} |")
    return (
        f"| | peak, {n_cases} cases (MiB) | peak, {3 * n_cases} cases (MiB) | growth per case "
        "(MiB) | patch and mask of one case (MiB) |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(rows)
    )


def speed_table(rounds: list[dict[str, float]], *, filtered: bool) -> str:
    """Format seconds and ratios to the plain loop as a table."""
    names = {
        "plain": ("plain loop over pyradiomics, one process", ""),
        "no patches": ("`RadiomicsExtractor`, `n_jobs=1`, HCR alone", ""),
        "one": ("… with patches of 32³", "≥ 4" if filtered else "≥ 3"),
        "two": ("… with patches, `n_jobs=2`", "≥ 1.8 × that"),
        "two, start": ("… the same, including the start of the worker processes", ""),
        "fill": ("… with patches, `n_jobs=1`, filling the cache", ""),
        "cache": ("… with patches, from the cache", "≥ 50"),
    }
    lines = []
    for key, (name, asked) in names.items():
        if key not in rounds[0]:
            continue
        ratios = [one["plain"] / one[key] for one in rounds]
        shown = f"{np.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        lines.append(
            f"| {name} | {np.median([one[key] for one in rounds]):.2f} | {shown} | {asked} |"
        )
    return (
        "| | seconds (median) | speed relative to the plain loop: median (range) | required |\n"
        "| --- | --- | --- | --- |\n" + "\n".join(lines)
    )


def main() -> None:
    """Time all methods in turn, so that other load affects each, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # Some tumours of the cohort are known to touch the border of their image.
    warnings.filterwarnings("ignore", ".*touch the border")
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    cases, _ = fetch_sts(return_X_y=True)
    one_thread = joblib.parallel_config("loky", inner_max_num_threads=1)
    with threadpool_limits(1), one_thread:
        if arguments.peak:
            print_peak(cases, *arguments.peak)
            return
        load = os.getloadavg()[0]
        plain_loop(cases[:1])
        ours(cases[:1])
        rounds = [one_round(cases) for _ in range(arguments.rounds)]
        filtered = [filtered_round(cases) for _ in range(arguments.rounds)]
    body = (
        f"{len(cases)} PET of `fetch_sts()`, preset PET, all 107 features of the original image; "
        f"{arguments.rounds} rounds, each method once per round and the plain loop at the start "
        "and end of it. Every process has one thread (BLAS, OpenMP, ITK), including the plain "
        f"loop. Imports are not counted. Load average at the start: {load:.1f}.\n\n"
        f"{speed_table(rounds, filtered=False)}\n\n"
        "Original image, Laplacian of Gaussian (2 and 4 mm) and wavelets, 1,037 features:\n\n"
        f"{speed_table(filtered, filtered=True)}\n\n"
        "Values equal the plain loop's to 1e-9 (checked in each round); `plain_formulas=True` "
        "computes everything with pyradiomics' own classes. Peak memory of a fresh "
        f"process, `n_jobs=1`:\n\n{memory_table(len(cases))}\n\n"
        "Patches are stored once, but glibc keeps the memory of each case's own arrays after they "
        "are copied into the table, unless it is configured to return it."
    )
    write_section("extraction.py", "Extraction: speed and memory", body)


if __name__ == "__main__":
    main()
