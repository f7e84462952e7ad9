"""Small cases and a quick extractor for the tests of extraction."""

from __future__ import annotations

import locale
import warnings

import numpy as np
import pandas as pd
import SimpleITK as sitk

from nonredundant.extraction import RadiomicsExtractor

SHAPE = (14, 14, 14)


def image_of(seed):
    """Return one lesion's image, uptake by seed, and its mask."""
    rng = np.random.default_rng(seed)
    grid = np.ogrid[-7:7, -7:7, -7:7]
    mask = sum(axis**2 for axis in grid) < rng.integers(12, 25)
    return rng.gamma(4, 0.3, SHAPE) * (1 + 3 * mask * rng.random()), mask


def cohort(n=4):
    """Return a case table of arrays with clinical columns."""
    pairs = [image_of(seed) for seed in range(n)]
    return pd.DataFrame(
        {
            "image": [image for image, _ in pairs],
            "mask": [mask for _, mask in pairs],
            "age": np.arange(n) + 50.0,
            "sex": ["f", "m"] * (n // 2) + ["f"] * (n % 2),
        },
        index=[f"p{i}" for i in range(n)],
    )


def on_disk(cases, folder, suffix=".nii.gz"):
    """Write the arrays as files and return the table of their paths."""
    paths = {"image": [], "mask": []}
    for label, row in cases.iterrows():
        for kind, found in paths.items():
            values = row[kind].astype(np.float32 if kind == "image" else np.uint8)
            sitk.WriteImage(sitk.GetImageFromArray(values), str(folder / f"{label}_{kind}{suffix}"))
            found.append(f"{label}_{kind}{suffix}")
    return cases.assign(**paths)


def quick(**parameters):
    """Return an extractor with few features and small patches."""
    usual = {"bin_width": 0.1, "feature_classes": ["shape", "firstorder"], "patch_shape": (8, 8, 8)}
    return RadiomicsExtractor(**{**usual, **parameters})


def assert_same(one, two):
    """Raise unless two tables are bitwise equal."""
    pd.testing.assert_frame_equal(one.features, two.features, check_exact=True)
    for name in ("patches", "masks", "positions", "spacing", "sample"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.status.equals(two.status)


def several():
    """Return a case with three lesions in one mask, of two labels."""
    rng = np.random.default_rng(0)
    mask = np.zeros((24, 24, 24), dtype=np.uint8)
    mask[2:6, 2:6, 2:6] = 1
    mask[12:18, 12:18, 12:18] = 1
    mask[2:5, 15:20, 3:8] = 2
    return rng.gamma(4, 0.3, mask.shape) * (1 + (mask > 0)), mask


def with_tiny_lesions():
    """Return a case with lesions of 216 and 64 voxels of 8 mm³, one of 4 and one of 1."""
    image, mask = several()
    mask[mask == 2] = 0
    mask[20:21, 20:22, 20:22] = 1
    mask[8, 20, 2] = 1
    cases = {"image": [image], "mask": [mask], "spacing": [2.0]}
    return pd.DataFrame(cases, index=["a"])


def quietly(cases, **parameters):
    """Extract without the warnings of tiny lesions."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ". of . cases have lesions (smaller than|one voxel)")
        return quick(**parameters).fit_transform(cases)


def volume(shape=(5, 6, 7), dtype=np.int16, spacing=(0.9, 1.1, 2.5)):
    """Return an image with a geometry of its own."""
    values = np.random.default_rng(0).integers(0, 1000, shape).astype(dtype)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing[: len(shape)])
    image.SetOrigin((-10.0, 20.0, 30.0)[: len(shape)])
    return image


def write_dicom_series(folder, image, uid="1.2.3.4"):
    """Write an image as a DICOM series, slices in shuffled files."""
    folder.mkdir()
    before = locale.setlocale(locale.LC_ALL)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(image.GetSize()[2]):
        one = image[:, :, z]
        position = image.TransformIndexToPhysicalPoint((0, 0, z))
        for tag, value in {
            "0008|0060": "CT",
            "0020|000e": uid,
            "0020|000d": "1.2.3",
            "0008|0018": f"{uid}.{z}",
            "0020|0032": "\\".join(map(str, position)),
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(z),
            "0018|0050": str(image.GetSpacing()[2]),
        }.items():
            one.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{(z * 3) % 5}_{uid}.dcm"))
        writer.Execute(one)
    # Writing DICOM leaves the process in the "C" locale, where text files are no longer UTF-8.
    locale.setlocale(locale.LC_ALL, before)
