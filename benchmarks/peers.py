"""Compare the extractor with other programs that compute radiomics, in one run and one thread.

The other programs are installed into an environment of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from reporting import write_section
from scipy import ndimage

from nonredundant.datasets import fetch_sts
from nonredundant.radiomics import resolve_parameters

#: What is installed, in the order of the requests; some do not name all that they import.
PEERS = (
    "torch==2.13.0",
    "flash-radiomics SimpleITK pykwalify h5py scikit-learn",
    "fastrad",
    "nyxus",
    "mirp",
    "pictologics",
)
OURS = ("nonredundant", "nonredundant, with patches", "pyradiomics")
ORIGINAL: dict[str, Any] = {"Original": {}}
FILTERED: dict[str, Any] = {"Original": {}, "LoG": {"sigma": [2.0, 4.0]}, "Wavelet": {}}
#: What each program is compared on, and what it is known to leave out.
FILTERING = (*OURS, "flash-radiomics")
ALL = (*FILTERING, "fastrad", "Nyxus")
#: Programs that take so long that a few cases of one round have to do.
SLOW = {"MIRP": 4}
EQUAL = 1e-9


def install(folder: Path) -> dict[str, str]:
    """Make the environment of the peers; return the reasons of those that cannot be installed."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    failed = {}
    for request in PEERS:
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *request.split()],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            failed[request.split()[0]] = done.stderr.strip().splitlines()[-1]
    return failed


def draw_tumours(folder: Path, n: int, voxels: int = 100_000) -> list[dict[str, str]]:
    """Draw CT images (HU, 16 bits) with a tumour of so many voxels and an uneven border."""
    cases = []
    for i in range(n):
        rng = np.random.default_rng(i)
        shape = (96, 128, 128)
        radius = np.linalg.norm(
            (np.indices(shape).T - np.array(shape) / 2) * [1.4, 1, 1], axis=-1
        ).T
        rough = radius + 40 * ndimage.gaussian_filter(rng.normal(size=shape), 3)
        inside = rough < np.sort(rough, axis=None)[voxels]
        values = 40 + 25 * ndimage.gaussian_filter(rng.normal(size=shape), 1) * 8 + 60 * inside
        paths = {}
        for name, array in (("image", values.astype(np.int16)), ("mask", inside.astype(np.uint8))):
            picture = sitk.GetImageFromArray(array)
            picture.SetSpacing((0.8, 0.8, 1.2))
            paths[name] = str(folder / f"ct{i}_{name}.nii.gz")
            sitk.WriteImage(picture, paths[name])
        cases.append(paths)
    return cases


def measure(name: str, job: dict[str, Any], python: Path, folder: Path) -> dict[str, Any]:
    """Run one program on a job in a process of its own with one thread."""
    job_path, result_path = folder / "job.json", folder / "result.json"
    job_path.write_text(json.dumps(job), encoding="utf-8")
    result_path.unlink(missing_ok=True)
    threads = ("OMP", "MKL", "OPENBLAS", "NUMBA", "ITK_GLOBAL_DEFAULT_NUMBER_OF")
    one = {f"{prefix}_NUM_THREADS": "1" for prefix in threads}
    one["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    script = Path(__file__).with_name("peer_features.py")
    interpreter = sys.executable if name in OURS else str(python)
    done = subprocess.run(
        [interpreter, script, name, job_path, result_path],
        capture_output=True,
        text=True,
        env=os.environ | one,
    )
    if not result_path.exists():
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        return {"error": reason}
    return json.loads(result_path.read_text(encoding="utf-8"))


def run_rounds(
    names: tuple[str, ...], job: dict[str, Any], rounds: int, python: Path, folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Measure each program once per round, all on the same cases."""
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            results[name].append(measure(name, job, python, folder))
    return results


def agreement(found: dict[str, Any], reference: dict[str, Any]) -> str:
    """Count the features that have the plain values in each case, and name the others."""
    shared = [
        name
        for name in reference["values"][0]
        if name in found["values"][0] and not name.startswith("diagnostics")
    ]
    if not shared:
        return "other names and definitions"
    ours, plain = (
        np.array([[row.get(name, np.nan) for name in shared] for row in one["values"]])
        for one in (found, reference)
    )
    size = np.maximum(np.abs(plain), 1e-12)
    worst = np.nan_to_num((np.abs(ours - plain) / size).max(axis=0), nan=np.inf)
    others = [
        f"{shared[i].removeprefix('original')} {worst[i]:.0e}"
        for i in np.argsort(-worst)
        if worst[i] > EQUAL
    ]
    text = f"{len(shared) - len(others)} of {len(shared)} equal"
    return f"{text}; largest differences: {', '.join(others[:4])}" if others else text


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Format seconds, ratios to the plain loop of the same round, and agreement."""
    lines = [
        "| program | seconds (median) | speed relative to the plain loop: median (range) | "
        "values of the plain loop |",
        "| --- | --- | --- | --- |",
    ]
    plain = results["pyradiomics"]
    for name, found in results.items():
        if "error" in found[0]:
            lines.append(f"| {name} | – | – | does not run: {found[0]['error']} |")
            continue
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(plain, found, strict=False)]
        seconds = np.median([one["seconds"] for one in found])
        lines.append(
            f"| {name} {found[0]['version']} | {seconds:.2f} | {np.median(ratios):.2f} "
            f"({min(ratios):.2f}–{max(ratios):.2f}) | {agreement(found[0], plain[0])} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Install the peers, run all programs in turn, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--environment", type=Path, default=Path(".peers"))
    parser.add_argument("--cases", type=int, default=None, help="take so many PET images only")
    parser.add_argument("--tumours", type=int, default=6, help="number of large CT tumours")
    parser.add_argument("--only", choices=["ours"], help="leave the other programs out")
    arguments = parser.parse_args()
    alone = arguments.only == "ours"
    failed = {} if alone else install(arguments.environment)
    python = arguments.environment.absolute() / "bin" / "python"
    cohort, _ = fetch_sts(return_X_y=True)
    pet = [
        {"image": str(image), "mask": str(mask)}
        for image, mask in zip(cohort["image"], cohort["mask"], strict=True)
    ][: arguments.cases]
    setting = resolve_parameters(modality="PET")["setting"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ct = draw_tumours(folder, arguments.tumours)
        jobs = {
            f"{len(pet)} PET, original image": (ALL, pet, setting, ORIGINAL, "PET"),
            f"{len(pet)} PET, original image, Laplacian of Gaussian (2 and 4 mm), wavelets": (
                FILTERING,
                pet,
                setting,
                FILTERED,
                "PET",
            ),
            f"{len(ct)} drawn CT tumours of 100,000 voxels, original image, bin width 25": (
                ALL,
                ct,
                {"binWidth": 25},
                ORIGINAL,
                None,
            ),
        }
        parts = []
        for title, (names, cases, settings, types, modality) in jobs.items():
            parameters = {"setting": settings, "imageType": types}
            job = {"cases": cases, "parameters": parameters, "modality": modality}
            chosen = OURS if alone else names
            results = run_rounds(chosen, job, arguments.rounds, python, folder)
            parts.append(f"{title}:\n\n{table(results)}")
        for slow, n in ({} if alone else SLOW).items():
            job = {
                "cases": pet[:n],
                "parameters": {"setting": setting, "imageType": ORIGINAL},
                "modality": "PET",
            }
            results = run_rounds(("pyradiomics", slow), job, 1, python, folder)
            parts.append(f"{n} of the PET, original image, one round:\n\n{table(results)}")
    missing = "; ".join(f"{name} ({reason})" for name, reason in failed.items())
    body = (
        f"Rounds: {arguments.rounds}; each program once per round on the same files, in a process "
        "of its own with one thread, whose processor time is measured. Imports and a first case "
        "are not counted. Reading of files is. Equal: to 1e-9 relative in every case.\n\n"
        + "\n\n".join(parts)
    )
    if alone:
        write_section("peers.py --only ours", "Extraction: the plain loop alone", body)
        return
    body += (
        (f"\n\nNot installed: {missing}." if missing else "")
        + "\n\nNyxus reads intensities as integers, so its values of a PET in SUV are those of a "
        "coarsely rounded image, and its discretisation has a number of levels; MIRP has IBSI's "
        "definitions and names. Their values are not compared."
    )
    write_section("peers.py", "Extraction: other programs", body)


if __name__ == "__main__":
    main()
