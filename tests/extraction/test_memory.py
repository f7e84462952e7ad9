"""What one case raises or asks for stays with that case."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from cases_for_tests import cohort, on_disk, quick

from nonredundant.extraction import measurement
from nonredundant.io import CaseError


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
    original = measurement.read_image

    def broken(source, **kwargs):
        if source is cases["image"].iloc[1]:
            raise error
        return original(source, **kwargs)

    monkeypatch.setattr(measurement, "read_image", broken)
    options = {"memory": tmp_path} if memory else {}
    found = statuses(cases, **options)
    assert found[0] == found[2] == "ok"
    assert pd.Series(found[1]).str.contains(told).all()
    with pytest.raises(CaseError, match="case 'p1'"):
        quick().fit_transform(cases)
    # Such an error is not a property of the content, so it is not remembered.
    monkeypatch.setattr(measurement, "read_image", original)
    assert list(quick(**options).fit_transform(cases).status) == ["ok"] * 3


def test_an_interrupt_is_no_failure_of_a_case(monkeypatch):
    def interrupted(source, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(measurement, "read_image", interrupted)
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
    assert "max_memory" in statuses(cases, memory=tmp_path, max_memory=1e-7)[0]
    assert list(quick(memory=tmp_path).fit_transform(cases).status) == ["ok"]
