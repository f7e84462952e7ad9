"""Measure a list of cases with one program, and write its seconds and values.

`peers.py` runs this script with the interpreter of the environment that holds the program.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import logging
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

Case = dict[str, str]
#: A program: from a job, whose parameters are in pyradiomics' layout, to a function of one case.
Program = Callable[[dict[str, Any]], Callable[[Case], dict[str, Any]]]


def pyradiomics(job: dict[str, Any]) -> Callable[[Case], dict[str, Any]]:
    """Prepare a plain loop, as in pyradiomics' manual."""
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    extractor = RadiomicsFeatureExtractor(job["parameters"])
    return lambda case: extractor.execute(case["image"], case["mask"])


def flash_radiomics(job: dict[str, Any]) -> Callable[[Case], dict[str, Any]]:
    """Prepare flash-radiomics on the CPU with one thread, without its output files."""
    from flash_radiomics import RadiomicsFeatureExtractor

    logging.disable(logging.CRITICAL)
    extractor = RadiomicsFeatureExtractor(job["parameters"], backend="cpu", num_threads=1)
    # It writes each case to HDF5; a memory file system keeps the disk out of the comparison.
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))

    def measure(case: Case) -> dict[str, Any]:
        target = folder / "case.h5"
        target.unlink(missing_ok=True)
        return extractor.execute(
            case["image"], case["mask"], output_hdf5_path=str(target), case_id="c", roi_id="r"
        )

    return measure


def fastrad(job: dict[str, Any]) -> Callable[[Case], dict[str, Any]]:
    """Prepare fastrad on the CPU."""
    import SimpleITK as sitk
    import torch
    from fastrad import FeatureExtractor, FeatureSettings, Mask, MedicalImage

    classes = ["firstorder", "shape", "glcm", "glrlm", "glszm", "gldm", "ngtdm"]
    width = job["parameters"]["setting"]["binWidth"]

    def measure(case: Case) -> dict[str, Any]:
        image, mask = sitk.ReadImage(case["image"]), sitk.ReadImage(case["mask"])
        spacing = image.GetSpacing()[::-1]
        settings = FeatureSettings(
            feature_classes=classes, bin_width=width, device="cpu", spacing=spacing
        )
        tensors = [
            torch.from_numpy(sitk.GetArrayFromImage(one).astype("float32")) for one in (image, mask)
        ]
        found = FeatureExtractor(settings).extract(
            MedicalImage(tensors[0], spacing), Mask(tensors[1], spacing)
        )
        return {f"original_{name.replace(':', '_')}": value for name, value in found.items()}

    return measure


def nyxus(job: dict[str, Any]) -> Callable[[Case], dict[str, Any]]:
    """Prepare Nyxus' features of volumes."""
    from nyxus import Nyxus3D

    # It takes a number of levels, not a width; its definitions are its own.
    engine = Nyxus3D(["*3D_ALL*"], n_feature_calc_threads=1, coarse_gray_depth=32)

    def measure(case: Case) -> dict[str, Any]:
        found = engine.featurize_files([case["image"]], [case["mask"]], single_roi=False)
        return found.iloc[0].to_dict()

    return measure


def mirp(job: dict[str, Any]) -> Callable[[Case], dict[str, Any]]:
    """Prepare MIRP with the same bin width, in 3-D."""
    from mirp import extract_features

    logging.disable(logging.CRITICAL)
    width = job["parameters"]["setting"]["binWidth"]

    def measure(case: Case) -> dict[str, Any]:
        found = extract_features(
            image=case["image"],
            mask=case["mask"],
            by_slice=False,
            base_discretisation_method="fixed_bin_size",
            base_discretisation_bin_width=width,
            base_feature_families="all",
            image_modality=job["modality"].lower(),
            resegmentation_intensity_range=[-1e6, 1e6],
        )
        return found[0].iloc[0].to_dict()

    return measure


def nonredundant(job: dict[str, Any], **options: Any) -> Callable[[list[Case]], list[Any]]:
    """Prepare the extractor, which takes all cases at once."""
    import pandas as pd
    import SimpleITK as sitk

    from nonredundant import RadiomicsExtractor

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    extractor = RadiomicsExtractor(job["modality"], settings=job["parameters"], **options)

    def measure(cases: list[Case]) -> list[Any]:
        table = extractor.fit_transform(pd.DataFrame(cases))
        return table.features.to_dict("records")

    return measure


#: Name of the distribution, and program.
PROGRAMS: dict[str, tuple[str, Program]] = {
    "nonredundant, with patches": ("nonredundant", nonredundant),
    "nonredundant": ("nonredundant", functools.partial(nonredundant, patch_shape=None)),
    "pyradiomics": ("pyradiomics-cuda", pyradiomics),
    "flash-radiomics": ("flash-radiomics", flash_radiomics),
    "fastrad": ("fastrad", fastrad),
    "Nyxus": ("nyxus", nyxus),
    "MIRP": ("mirp", mirp),
}


def main() -> None:
    """Measure the cases of a job, the first one twice, and write seconds and values."""
    warnings.simplefilter("ignore")
    name, job_path, result_path = sys.argv[1:]
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    distribution, program = PROGRAMS[name]
    run: Any = program(job)
    if distribution != "nonredundant":
        one, run = run, lambda cases: [one(case) for case in cases]
    # What is loaded and compiled at the first call is no part of the time.
    run(job["cases"][:1])
    # Each program has one thread, and time of the processor depends less on other load.
    start = time.process_time()
    rows = run(job["cases"])
    seconds = time.process_time() - start
    result = {
        "seconds": seconds,
        "version": importlib.metadata.version(distribution),
        "values": [comparable(row) for row in rows],
    }
    Path(result_path).write_text(json.dumps(result), encoding="utf-8")
    # Some programs leave threads that keep the process alive.
    os._exit(0)


def comparable(row: dict[str, Any]) -> dict[str, float]:
    """Return the values that are numbers, under names without case and separators."""
    found = {}
    for name, value in row.items():
        try:
            found[re.sub("[^a-z0-9]", "", name.lower())] = float(value)
        except (TypeError, ValueError):
            # Texts and structures: settings and versions that programs write beside features.
            continue
    return found


if __name__ == "__main__":
    main()
