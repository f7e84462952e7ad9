"""Measure corrupted files in a process of its own, and print what came of each as JSON."""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from cases_for_tests import quick
from dicom_for_tests import FRAME, circle, write_contours

#: Each format, the file of the image and that of the mask.
FORMATS = {
    "nifti": ("image.nii", "mask.nii"),
    "nifti.gz": ("image.nii.gz", "mask.nii.gz"),
    "nrrd": ("image.nrrd", "mask.nrrd"),
    "mha": ("image.mha", "mask.mha"),
    "dicom": ("series", "mask.nrrd"),
    "contours": ("series", "RS.dcm"),
}
#: Bytes at the start of a file that are damaged more often: they hold most of the header.
HEAD = 400
#: Memory that a case may use, beside what the process has already.
ALLOWED = 2 << 30


def write_originals(folder: Path) -> None:
    """Write one scan and its mask in all formats."""
    rng = np.random.default_rng(0)
    values = np.clip(rng.normal(40, 60, (12, 20, 22)).round(), -500, 500).astype(np.int16)
    place = np.ogrid[tuple(slice(-n // 2, n - n // 2) for n in values.shape)]
    inside = sum((x / a) ** 2 for x, a in zip(place, (3.5, 6, 7), strict=True)) <= 1
    images = [sitk.GetImageFromArray(one) for one in (values, inside.astype(np.uint8))]
    for one in images:
        one.SetSpacing((1.5, 1.5, 2.0))
        one.SetOrigin((-20.0, 10.0, 30.0))
    for image, mask in FORMATS.values():
        for one, name in zip(images, (image, mask), strict=True):
            if "." in name and not name.endswith(".dcm"):
                sitk.WriteImage(one, str(folder / name), name.endswith((".gz", ".nrrd")))
    write_series(folder / "series", images[0])
    heights = [30.0 + 2.0 * k for k in range(3, 9)]
    contours = [circle((-4.0, 25.0), 9.0, z) for z in heights]
    write_contours(folder / "RS.dcm", [("GTV", contours)])


def write_series(folder: Path, image: sitk.Image) -> None:
    """Write an image as a DICOM series."""
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(image.GetSize()[2]):
        one = image[:, :, z]
        tags = {
            "0008|0060": "CT",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"1.2.3.4.{z + 1}",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.4",
            "0020|0052": FRAME,
            "0020|0032": "\\".join(map(str, image.TransformIndexToPhysicalPoint((0, 0, z)))),
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for tag, value in tags.items():
            one.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{z:02d}.dcm"))
        writer.Execute(one)


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """Truncate, flip bits, or overwrite bytes of a file."""
    data = bytearray(content)
    kind = rng.integers(5)
    if kind == 0:
        return bytes(data[: rng.integers(len(data))])
    end = min(HEAD, len(data)) if kind in (1, 2) else len(data)
    for _ in range(rng.integers(1, 9)):
        at = int(rng.integers(end))
        if kind in (1, 3):
            data[at] ^= 1 << int(rng.integers(8))
        else:
            data[at : at + 4] = rng.bytes(len(data[at : at + 4]))
    return bytes(data)


def corrupt(originals: Path, target: Path, number: int) -> dict[str, str]:
    """Copy one format's files, damage one of them, and return the cells of the case table."""
    rng = np.random.default_rng(number)
    name = list(FORMATS)[number % len(FORMATS)]
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for one in FORMATS[name]:
        source = originals / one
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, target / one)
    chosen = target / FORMATS[name][int(rng.integers(2))]
    if name == "dicom":
        chosen = target / "series"
    if chosen.is_dir():
        chosen = sorted(chosen.iterdir())[int(rng.integers(12))]
    content = chosen.read_bytes()
    if chosen.suffix == ".gz" and rng.integers(2):
        # The checksum of what is compressed is then right, and the header is not.
        content = gzip.compress(damage(gzip.decompress(content), rng))
    else:
        content = damage(content, rng)
    chosen.write_bytes(content)
    return {"image": str(target / FORMATS[name][0]), "mask": str(target / FORMATS[name][1])}


def says_something_else(cells: dict[str, str], originals: Path) -> bool:
    """Check whether the damaged files, read by SimpleITK alone, are another scan or mask.

    A byte of a voxel or of a spacing may change without a trace, and the values are then right for
    what the file says. Compressed voxels carry a checksum, by which their damage is known, and
    what is truncated is never another scan.
    """
    for path in map(Path, cells.values()):
        if path.suffix == ".dcm" or path.is_dir():
            before = originals / path.name
            files = [path] if path.is_file() else sorted(path.iterdir())
            first = [before] if before.is_file() else sorted(before.iterdir())
            pairs = list(zip(files, first, strict=True))
            if any(one.stat().st_size < other.stat().st_size for one, other in pairs):
                return False
            if any(one.read_bytes() != other.read_bytes() for one, other in pairs):
                return True
            continue
        if path.suffix == ".gz":
            try:
                gzip.decompress(path.read_bytes())
            except (OSError, EOFError, ValueError):
                return False
        elif path.stat().st_size < (originals / path.name).stat().st_size:
            return False
        one, other = sitk.ReadImage(str(path)), sitk.ReadImage(str(originals / path.name))
        same = [
            getattr(one, name)() == getattr(other, name)()
            for name in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection", "GetPixelID")
        ]
        arrays = [sitk.GetArrayViewFromImage(image) for image in (one, other)]
        if not all(same) or not np.array_equal(*arrays):
            return True
    return False


def main(folder: str, start: int, stop: int) -> None:
    """Measure the corruptions of these numbers, each beside an intact case."""
    warnings.simplefilter("ignore")
    originals, target = Path(folder) / "originals", Path(folder) / f"damaged{start}"
    extractor = quick(on_error="nan", max_memory=1.0, bin_width=25.0)
    right = {}
    for name, (image, mask) in FORMATS.items():
        cells = {"image": [str(originals / image)], "mask": [str(originals / mask)]}
        table = extractor.fit_transform(pd.DataFrame(cells))
        if table.status.iloc[0] != "ok":
            raise ValueError(f"{name}: {table.status.iloc[0]}")
        right[name] = table.features.iloc[0]
    size = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    limit = size * resource.getpagesize() + ALLOWED
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    image, mask = (str(originals / one) for one in FORMATS["nifti"])
    intact = {"image": image, "mask": mask}
    for number in range(start, stop):
        name = list(FORMATS)[number % len(FORMATS)]
        cells = corrupt(originals, target, number)
        begin = time.process_time()
        table = extractor.fit_transform(pd.DataFrame([cells, intact]))
        seconds = time.process_time() - begin
        ok = table.status.iloc[0] == "ok"
        equal = ok and np.allclose(table.features.iloc[0], right[name], rtol=1e-9)
        found = {
            "number": number,
            "format": name,
            "status": table.status.iloc[0],
            "right": bool(equal or not ok or says_something_else(cells, originals)),
            "other": bool(np.array_equal(table.features.iloc[1], right["nifti"])),
            "seconds": seconds,
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        (Path(sys.argv[2]) / "originals").mkdir()
        write_originals(Path(sys.argv[2]) / "originals")
    else:
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
