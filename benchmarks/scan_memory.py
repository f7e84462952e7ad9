"""Measure the peak memory of one large scan with a small lesion, beside the size of its voxels."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from reporting import write_section

from nonredundant.extraction import RadiomicsExtractor

#: Voxels of a CT of the trunk, z-y-x, and the radius of the lesion.
SHAPE, RADIUS = (300, 512, 512), 12
NAMES = ("scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha")


def write_scan(folder: Path, name: str, kind: type) -> pd.DataFrame:
    """Write a scan and its mask and return their case table."""
    rng = np.random.default_rng(0)
    slab = rng.normal(0, 80, SHAPE[1:]).astype(kind)
    values = np.broadcast_to(slab, SHAPE).astype(kind)
    centre = (140, 300, 200)
    box = tuple(slice(c - RADIUS, c + RADIUS + 1) for c in centre)
    ball = sum(axis**2 for axis in np.ogrid[(slice(-RADIUS, RADIUS + 1),) * 3]) <= RADIUS**2
    values[box] = rng.normal(40, 30, ball.shape).astype(kind)
    mask = np.zeros(SHAPE, np.uint8)
    mask[box] = ball
    paths = {"image": folder / name, "mask": folder / "mask.nii.gz"}
    for array, path in zip((values, mask), paths.values(), strict=True):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.8, 0.8, 1.5))
        sitk.WriteImage(image, str(path), path.suffix == ".gz")
    return pd.DataFrame({role: [str(path)] for role, path in paths.items()})


def peak() -> float:
    """Return the peak memory of this process in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def print_growth(image: str, mask: str) -> None:
    """Measure a small case, then the large one, and print by how much the peak grew."""
    warnings.simplefilter("ignore")
    extractor = RadiomicsExtractor("CT")
    rng = np.random.default_rng(0)
    inside = np.zeros((20, 20, 20), np.uint8)
    inside[5:15, 5:15, 5:15] = 1
    small = {"image": [rng.normal(0, 60, inside.shape)], "mask": [inside]}
    extractor.fit_transform(pd.DataFrame(small))
    before = peak()
    table = extractor.fit_transform(pd.DataFrame({"image": [image], "mask": [mask]}))
    assert table.features.notna().all(axis=None)
    print(peak() - before)


def row(name: str, kind: type) -> str:
    """Measure one format in a new process and return its row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        cases = write_scan(Path(folder), name, kind)
        command = [sys.executable, __file__, "--one", *cases.iloc[0]]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    growth, voxels = float(found.stdout), np.prod(SHAPE) * np.dtype(kind).itemsize / 2**20
    kind_name = np.dtype(kind).name
    return f"| {name} | {kind_name} | {voxels:.0f} | {growth:.0f} | {growth / voxels:.2f} |"


def main() -> None:
    """Print the table and write it."""
    rows = [row(name, np.int16) for name in NAMES] + [row("scan.nii.gz", np.float32)]
    table = (
        "| file | voxels | their size (MiB) | growth of the peak (MiB) | ratio |\n"
        "| --- | --- | --- | --- | --- |\n" + "\n".join(rows)
    )
    write_section(
        Path(__file__).name,
        "Memory of one large scan",
        f"One scan of {' × '.join(map(str, SHAPE[::-1]))} voxels with a lesion of {RADIUS} voxels "
        'radius, its mask as `.nii.gz`, `RadiomicsExtractor("CT")`, one process; growth over the '
        f"peak of a small case.\n\n{table}",
    )


if __name__ == "__main__":
    if "--one" in sys.argv:
        print_growth(*sys.argv[-2:])
    else:
        main()
