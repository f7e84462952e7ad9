"""What one case raises or asks for stays with that case."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import signal
import struct
import subprocess

import joblib
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import assert_same, cohort, on_disk, quick
from disks_for_tests import small_disk

from nonredundant.extraction import one_case
from nonredundant.io import CaseError
from nonredundant.utils.cache import CacheError
from nonredundant.utils.validation import InvalidParameterError


def statuses(cases, **parameters):
    """Return the status of each case, and check that only failed ones have no values."""
    with pytest.warns(UserWarning, match="cases failed"):
        table = quick(on_error="nan", **parameters).fit_transform(cases)
    missing = table.features.isna().all(axis=1).to_numpy()
    np.testing.assert_array_equal(missing, [one != "ok" for one in table.status])
    return list(table.status)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("no filter"), "SimpleITK failed: no filter"),
        (ZeroDivisionError("division"), "unexpected ZeroDivisionError: division"),
        (PermissionError(13, "denied"), "unreadable: unexpected PermissionError.*denied"),
        (RecursionError("deep"), "deep"),
        (ImportError("pip install x"), "pip install x"),
    ],
)
@pytest.mark.parametrize("memory", [False, True])
def test_any_error_of_one_case_leaves_the_others(error, told, memory, tmp_path, monkeypatch):
    cases = cohort(3)
    original = one_case.read_image

    def broken(source, **kwargs):
        if source is cases["image"].iloc[1]:
            raise error
        return original(source, **kwargs)

    monkeypatch.setattr(one_case, "read_image", broken)
    options = {"memory": tmp_path} if memory else {}
    found = statuses(cases, **options)
    assert found[0] == found[2] == "ok"
    assert pd.Series(found[1]).str.contains(told).all()
    with pytest.raises(CaseError, match="case 'p1'"):
        quick().fit_transform(cases)
    # Such an error is not a property of the content, so it is not remembered.
    monkeypatch.setattr(one_case, "read_image", original)
    assert list(quick(**options).fit_transform(cases).status) == ["ok"] * 3


def test_an_interrupt_is_no_failure_of_a_case(monkeypatch):
    def interrupted(source, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(one_case, "read_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quick(on_error="nan").fit_transform(cohort(1))


@pytest.mark.parametrize("name", ["p1_image.nii", "p1_image.nii.gz"])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_header_that_claims_terabytes_fails_as_one_case(tmp_path, name, n_jobs):
    files = on_disk(cohort(3), tmp_path)
    content = bytearray(gzip.decompress((tmp_path / "p1_image.nii.gz").read_bytes()))
    struct.pack_into("<8h", content, 40, 3, 15000, 20000, 20000, 1, 1, 1, 1)
    data = gzip.compress(bytes(content)) if name.endswith(".gz") else bytes(content)
    (tmp_path / name).write_bytes(data)
    files.loc["p1", "image"] = name
    found = statuses(files, root=tmp_path, n_jobs=n_jobs)
    assert found[0] == found[2] == "ok"
    assert "15000×20000×20000 voxels" in found[1]
    assert "damaged" in found[1]


def test_more_than_the_memory_allowed_is_an_error_that_names_need_limit_and_remedy(tmp_path):
    cases = on_disk(cohort(2), tmp_path)
    large = sitk.Image([200, 200, 200], sitk.sitkFloat32)
    sitk.WriteImage(large, str(tmp_path / "large.nrrd"), True)
    cases.loc["p1", "image"] = "large.nrrd"
    found = statuses(cases, root=tmp_path, max_memory=0.02)
    assert found[0] == "ok"
    assert "need 0.0298 GiB by their headers, and max_memory allows 0.02 GiB" in found[1]
    assert "raise max_memory" in found[1]


TOO_FINE = {
    "bin count": ({"bin_count": 10**9}, "bin count of 1,000,000,000 .*lower bin_count"),
    "bin width, MR": ({"modality": "MR", "bin_width": 1e-12}, "raise bin_width"),
    "bin width, resampled": ({"bin_width": 1e-9, "spacing": 2.0}, "raise bin_width"),
    "bin count of an image type": (
        {"image_types": {"Original": {}, "Square": {"binCount": 10**8}}},
        "bin count of 100,000,000",
    ),
    "grid": ({"spacing": 1e-3}, "voxels, which needs .*spacing='native'"),
    "grid of pyradiomics": (
        {"settings": {"setting": {"binWidth": 1, "resampledPixelSpacing": [1e-4] * 3}}},
        "voxels, which needs .*spacing='native'",
    ),
}


@pytest.mark.parametrize("name", TOO_FINE)
def test_what_is_too_fine_is_told_before_memory_is_used(name):
    options, told = TOO_FINE[name]
    options = {"feature_classes": ["firstorder", "glcm"], **options}
    with pytest.raises(CaseError, match=rf"case 'p0'.*{told}"):
        quick(**options).fit_transform(cohort(2))


def test_patches_larger_than_the_memory_are_refused():
    with pytest.raises(InvalidParameterError, match=r"needs .* GiB for each lesion, .*smaller"):
        quick(patch_shape=(100_000,) * 3).fit_transform(cohort(2))


def test_levels_are_those_of_the_voxels_that_are_kept():
    """One hot voxel outside of the range that is measured makes no levels."""
    cases = cohort(2)
    image = cases["image"].iloc[0].copy()
    image[np.nonzero(cases["mask"].iloc[0])[0][0]] = 0
    inside = np.argwhere(cases["mask"].iloc[0])
    image[tuple(inside[0])] = 1e9
    cases["image"] = [image, cases["image"].iloc[1]]
    setting = {"binWidth": 0.1, "resegmentRange": [-50, 50], "resegmentMode": "absolute"}
    table = quick(
        bin_width=None, settings={"setting": setting}, feature_classes=["glcm"]
    ).fit_transform(cases)
    assert (table.status == "ok").all()


def test_grey_levels_are_counted_before_their_matrices_are_made():
    cases = cohort(2)
    cases["image"] = [cases["image"].iloc[0], cases["image"].iloc[1] * 1e6]
    found = statuses(cases, bin_width=0.1, feature_classes=["glcm"])
    assert found[0] == "ok"
    assert "grey levels from" in found[1]
    assert "raise bin_width, or set bin_count" in found[1]
    # Without textures there are no such matrices.
    shapes = quick(feature_classes=["shape"], bin_width=0.1).fit_transform(cases)
    assert list(shapes.status) == ["ok", "ok"]


def test_the_limit_is_no_part_of_the_cache_key(tmp_path):
    cases = cohort(1)
    options = {"memory": tmp_path, "patch_shape": None}
    assert "max_memory" in statuses(cases, max_memory=1e-7, **options)[0]
    assert list(quick(**options).fit_transform(cases).status) == ["ok"]


class Deadly(np.ndarray):
    """An image whose measurement ends the process, as that of too large a scan does."""

    @property
    def nbytes(self):
        if multiprocessing.current_process().name != "MainProcess":
            os.kill(os.getpid(), signal.SIGKILL)
        return self.size * self.itemsize


@pytest.mark.parametrize("memory", [False, True])
def test_a_case_that_kills_its_process_is_named_and_the_others_are_measured(tmp_path, memory):
    cases = cohort(5)
    expected = quick().fit_transform(cases)
    options = {"memory": tmp_path} if memory else {}
    cases["image"] = [
        image.view(Deadly) if i == 3 else image for i, image in enumerate(cases["image"])
    ]
    with (
        pytest.warns(UserWarning, match=r"measuring cases was killed \(SIGKILL"),
        pytest.raises(CaseError, match=r"case 'p3' .*process that measured it was killed"),
    ):
        quick(n_jobs=2, **options).fit_transform(cases)
    with (
        pytest.warns(UserWarning, match="measuring cases was killed"),
        pytest.warns(UserWarning, match="1 of 5 cases failed.*'p3'"),
    ):
        table = quick(n_jobs=2, on_error="nan", **options).fit_transform(cases)
    assert [label for label, status in table.status.items() if status != "ok"] == ["p3"]
    fine = [0, 1, 2, 4]
    np.testing.assert_array_equal(table.features.iloc[fine], expected.features.iloc[fine])
    np.testing.assert_array_equal(table.patches[fine], expected.patches[fine])


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_full_cache_stops_the_extraction_and_keeps_what_it_holds(tmp_path, n_jobs):
    cases = cohort(6)
    with small_disk(tmp_path / "disk", "160k") as disk:
        extractor = quick(memory=disk, on_error="nan", n_jobs=n_jobs, patch_shape=(16, 16, 16))
        with pytest.raises(CacheError, match="the disk is full; free space"):
            extractor.fit_transform(cases)
        kept = sorted(disk.rglob("output.pkl*"))
        assert 0 < len(kept) < 6
        assert {path.name for path in kept} == {"output.pkl"}
        subprocess.run(["mount", "-o", "remount,size=10m", str(disk)], check=True)
        before = {path: path.stat().st_mtime_ns for path in kept}
        table = extractor.fit_transform(cases)
        assert {path: path.stat().st_mtime_ns for path in kept} == before
    expected = quick(patch_shape=(16, 16, 16)).fit_transform(cases)
    assert_same(table, expected)


def test_two_processes_share_a_cache_at_the_same_time(tmp_path):
    cases = cohort(8)
    expected = quick().fit_transform(cases)
    extractor = quick(memory=tmp_path)
    run = joblib.delayed(extractor.fit_transform)
    # In opposite orders, so that each finds results of the other in the middle.
    one, two = joblib.Parallel(n_jobs=2)([run(cases), run(cases[::-1])])
    assert_same(one, expected)
    assert_same(two, expected[np.arange(8)[::-1]])
    assert len(list(tmp_path.rglob("output.pkl*"))) == 8
